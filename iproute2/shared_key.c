// SPDX-License-Identifier: GPL-2.0
/*
 * Files with a key that authenticates whole packets. carpctl(8) reads them in the same
 * way: two hosts that are given the same file must arrive at the same key.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"

/* The longest file: a key in hexadecimal digits, with blanks between them. */
#define FILE_ROOM	512

static const char hex_prefix[] = "hex:";
#define HEX_PREFIX_LEN	(sizeof(hex_prefix) - 1)

/* How many bytes there are until the end, at most @room; -1: see errno. */
static ssize_t read_to_end(int fd, unsigned char *bytes, size_t room)
{
	size_t len = 0;
	ssize_t got;

	while (len < room) {
		got = read(fd, bytes + len, room - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		len += got;
	}
	return len;
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Turns digits, with blanks and line ends between them, into bytes, in place. Returns how
 * many bytes they are; -1: they are something else.
 */
static ssize_t decode_hex(unsigned char *text, size_t len)
{
	size_t digits = 0;

	for (size_t i = 0; i < len; i++) {
		int digit;

		if (text[i] && strchr(" \t\r\n", text[i]))
			continue;
		digit = hex_digit(text[i]);
		if (digit < 0)
			return -1;
		if (digits % 2)
			text[digits / 2] |= digit;
		else
			text[digits / 2] = digit << 4;
		digits++;
	}
	return digits % 2 ? -1 : (ssize_t)(digits / 2);
}

/*
 * One line of printable ASCII characters that ends. A random key hardly ever is one,
 * though one in 256 ends with the byte of a line's end.
 */
static bool is_line(const unsigned char *bytes, size_t len)
{
	if (!len || bytes[len - 1] != '\n')
		return false;
	for (size_t i = 0; i < len - 1; i++) {
		if (bytes[i] < 0x20 || bytes[i] > 0x7e)
			return false;
	}
	return true;
}

static int take_key(const char *file, unsigned char *bytes, size_t len,
		    struct auth_key *key)
{
	if (len >= HEX_PREFIX_LEN && !memcmp(bytes, hex_prefix, HEX_PREFIX_LEN)) {
		ssize_t decoded;

		bytes += HEX_PREFIX_LEN;
		decoded = decode_hex(bytes, len - HEX_PREFIX_LEN);
		if (decoded < 0) {
			fprintf(stderr,
				"Error: the key in \"%s\" is invalid: pairs of hexadecimal digits are expected after \"hex:\".\n",
				file);
			return -1;
		}
		len = decoded;
	} else if (is_line(bytes, len)) {
		len--;
	}
	if (len < CARP_AUTH_KEY_MIN || len > CARP_AUTH_KEY_MAX) {
		fprintf(stderr,
			"Error: the key in \"%s\" has %zu bytes: " AUTH_KEY_RANGE " are expected.\n",
			file, len);
		return -1;
	}
	memcpy(key->secret, bytes, len);
	key->len = len;
	return 0;
}

static int read_key_of(const struct command *c, const char *file, int fd,
		       struct auth_key *key)
{
	unsigned char bytes[FILE_ROOM];
	ssize_t len;
	int ret;

	len = read_to_end(fd, bytes, sizeof(bytes));
	if (len < 0) {
		ret = cannot_read(c, file);
	} else if (len == sizeof(bytes)) {
		fprintf(stderr, "Error: \"%s\" is too long for a key, which has " AUTH_KEY_RANGE " bytes.\n",
			file);
		ret = -1;
	} else {
		ret = take_key(file, bytes, len, key);
	}
	explicit_bzero(bytes, sizeof(bytes));
	return ret;
}

/* As the file of one line. */
static int read_typed_key(const struct command *c, const char *file, struct auth_key *key)
{
	char *line = getpass("key: ");
	size_t len;
	int ret;

	if (!line)
		return cannot_read(c, file);
	len = strlen(line);
	ret = take_key(file, (unsigned char *)line, len, key);
	explicit_bzero(line, len);
	return ret;
}

int read_key(const struct command *c, const char *file, struct auth_key *key)
{
	int fd, ret;

	fd = open_secret(c, file, "key");
	if (fd < 0)
		return -1;
	if (fd == STDIN_FILENO && isatty(fd))
		return read_typed_key(c, file, key);
	ret = read_key_of(c, file, fd, key);
	close_secret(fd);
	return ret;
}
