// SPDX-License-Identifier: GPL-2.0
/* Files that hold a secret. No message of these functions shows one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared.h"

int cannot_read(const struct command *c, const char *file)
{
	fprintf(stderr, "Error: \"%s\" cannot read \"%s\": %s.\n", c->word, file,
		strerror(errno));
	return -1;
}

/* Devices and pipes are somebody else's matter. */
static void warn_if_open_to_others(const char *file, int fd, const char *what)
{
	struct stat st;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_mode & 066)
		fprintf(stderr,
			"Warning: others than its owner can read or write \"%s\", which holds a %s: chmod it to 600.\n",
			file, what);
}

int open_secret(const struct command *c, const char *file, const char *what)
{
	int fd;

	if (!strcmp(file, "-")) {
		if (!batch_mode)
			return STDIN_FILENO;
		fprintf(stderr,
			"Error: \"%s -\" cannot be used in a batch, which is standard input itself.\n",
			c->word);
		return -1;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cannot_read(c, file);
	warn_if_open_to_others(file, fd, what);
	return fd;
}

void close_secret(int fd)
{
	if (fd != STDIN_FILENO)
		close(fd);
}
