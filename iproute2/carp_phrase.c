// SPDX-License-Identifier: GPL-2.0
/* The pass phrase: from the command line, a file, or a terminal. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "carp_plugin.h"

/*
 * The longest pass phrase that is handed to the kernel. It takes fewer bytes
 * and says so itself; this only keeps the phrase from filling the message.
 */
#define PASS_ROOM	255

/* No message of this function shows the phrase. */
static int put_phrase(struct command *c, const char *phrase, size_t len)
{
	if (len > PASS_ROOM) {
		fprintf(stderr,
			"Error: the value of \"%s\" is too long: " PASS_RANGE " bytes are expected.\n",
			c->word);
		return -1;
	}
	return put(c, IFLA_CARP_PASS, phrase, len);
}

int put_pass(struct command *c)
{
	char *phrase;
	size_t len;
	int ret;

	phrase = next_value(c);
	if (!phrase)
		return -1;
	len = strlen(phrase);
	ret = put_phrase(c, phrase, len);
	/* These bytes are /proc/PID/cmdline: the sooner gone the better. */
	explicit_bzero(phrase, len);
	return ret;
}

/* The length of the line, without its end; -1: see errno. */
static ssize_t read_line(int fd, char *line, size_t room)
{
	size_t len = 0;

	/* One by one: what follows the line is for the next reader of fd. */
	while (len < room) {
		ssize_t got = read(fd, line + len, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0 || line[len] == '\n')
			break;
		len++;
	}
	return len;
}

static int put_phrase_of(struct command *c, const char *file,
			 const char *phrase, ssize_t len)
{
	if (len < 0)
		return cannot_read(c, file);
	/* A file cut short by accident must not switch the phrase off. */
	if (len == 0) {
		fprintf(stderr,
			"Error: the first line of \"%s\" is empty; to remove the pass phrase say: pass \"\"\n",
			file);
		return -1;
	}
	return put_phrase(c, phrase, len);
}

static int put_first_line(struct command *c, const char *file, int fd)
{
	/* One byte more than is allowed tells a line that is too long. */
	char line[PASS_ROOM + 1];
	int ret;

	ret = put_phrase_of(c, file, line, read_line(fd, line, sizeof(line)));
	explicit_bzero(line, sizeof(line));
	return ret;
}

static int put_typed_line(struct command *c, const char *file)
{
	char *line = getpass("pass phrase: ");
	int ret;

	if (!line)
		return put_phrase_of(c, file, NULL, -1);
	ret = put_phrase_of(c, file, line, strlen(line));
	explicit_bzero(line, strlen(line));
	return ret;
}

int put_passfile(struct command *c)
{
	const char *file;
	int fd, ret;

	file = next_value(c);
	if (!file)
		return -1;
	fd = open_secret(c, file, "pass phrase");
	if (fd < 0)
		return -1;
	if (fd == STDIN_FILENO && isatty(fd))
		return put_typed_line(c, file);
	ret = put_first_line(c, file, fd);
	close_secret(fd);
	return ret;
}
