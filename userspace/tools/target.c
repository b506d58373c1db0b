// SPDX-License-Identifier: GPL-2.0
/* A file in the making: written beside its final place, put there when it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "progress.h"
#include "target.h"

static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/*
 * The file that a signal must not leave behind. Changed only while
 * ending_signals are blocked, together with the file itself.
 */
static const char *litter;

/*
 * Ends the program at once, even while it waits for an engine that hangs: the
 * kernel looks after the memory in flight.
 */
static void clean_up_and_die(int number)
{
	if (litter)
		unlink(litter);
	progress_clear();
	say_from_handler("zcdma: interrupted; the target is as it was before\n");
	/* SA_RESETHAND: this time it is deadly, as soon as the handler returns. */
	raise(number);
}

static void set_of_ending_signals(sigset_t *set)
{
	size_t i;

	sigemptyset(set);
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
		sigaddset(set, ending_signals[i]);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = clean_up_and_die, .sa_flags = SA_RESETHAND };
	struct sigaction old;
	size_t i;

	set_of_ending_signals(&action.sa_mask);
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++) {
		/* What nohup and its like had ignored stays ignored. */
		sigaction(ending_signals[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaction(ending_signals[i], &action, NULL);
	}
	/* A file too large for RLIMIT_FSIZE is to be an error, not the end. */
	signal(SIGXFSZ, SIG_IGN);
}

static void hold_signals(sigset_t *old)
{
	sigset_t set;

	set_of_ending_signals(&set);
	sigprocmask(SIG_BLOCK, &set, old);
}

/* @there is what stands under the target's name. */
static int check_existing(struct target *target, const struct stat *there,
			  const struct stat *source)
{
	if (S_ISDIR(there->st_mode))
		return complain("%s: is a directory; name the file in it", target->name);
	if (source && there->st_dev == source->st_dev && there->st_ino == source->st_ino)
		return complain("%s: is the same file as the source", target->name);
	if (!S_ISREG(there->st_mode))
		return complain("%s: is not a regular file", target->name);
	if (!target->force)
		return complain("%s: exists; give --force to replace it", target->name);

	/* Through links, so that they stay what they are. */
	target->path = realpath(target->name, NULL);
	if (!target->path)
		return complain("%s: %s", target->name, strerror(errno));
	return 0;
}

int target_check(struct target *target, const char *name, const struct stat *source)
{
	size_t len = strlen(name);
	struct stat there;

	target->name = name;
	target->fd = -1;
	if (!stat(name, &there))
		return check_existing(target, &there, source);
	if (errno != ENOENT)
		return complain("%s: %s", name, strerror(errno));
	if (!lstat(name, &there))
		return complain("%s: is a link to nowhere; remove it first", name);
	if (!len || name[len - 1] == '/')
		return complain("%s: does not name a file", name);

	target->path = strdup(name);
	return target->path ? 0 : complain("%s: %s", name, strerror(errno));
}

/* In the same directory, so that renaming it moves no bytes and can be atomic. */
static char *temporary_beside(const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? slash - path + 1 : 0;
	char *name;

	if (asprintf(&name, "%.*s.zcdma-XXXXXX", dir_len, path) < 0)
		return NULL;
	return name;
}

static int make_temporary(struct target *target)
{
	sigset_t old;
	int error;

	target->temporary = temporary_beside(target->path);
	if (!target->temporary)
		return complain("%s: %s", target->name, strerror(ENOMEM));

	catch_signals();
	hold_signals(&old);
	target->fd = mkostemp(target->temporary, O_CLOEXEC);
	error = errno;
	if (target->fd >= 0)
		litter = target->temporary;
	sigprocmask(SIG_SETMASK, &old, NULL);

	if (target->fd < 0)
		return complain("%s: cannot create a file beside it: %s", target->name,
				strerror(error));
	return 0;
}

int target_create(struct target *target, uint64_t size)
{
	char text[32];
	int error;

	if (make_temporary(target))
		return -1;
	if (!size)
		return 0;

	/* Room that is missing is found out now, not as a fault in the middle. */
	do {
		error = posix_fallocate(target->fd, 0, size);
	} while (error == EINTR);
	if (!error)
		return 0;
	complain("%s: %s; room for %s is needed beside it", target->name, strerror(error),
		 human_size(size, text));
	target_discard(target);
	return -1;
}

static int rename_if_free(const char *from, const char *to)
{
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	/* A file system that does not know how; a link cannot replace either. */
	if (errno != EINVAL)
		return -1;
	return link(from, to) ? -1 : unlink(from);
}

static int put_in_place(struct target *target)
{
	sigset_t old;
	int ret, error;

	hold_signals(&old);
	if (target->force)
		ret = rename(target->temporary, target->path);
	else
		ret = rename_if_free(target->temporary, target->path);
	error = errno;
	if (!ret)
		litter = NULL;
	sigprocmask(SIG_SETMASK, &old, NULL);

	if (!ret)
		return 0;
	if (error == EEXIST)
		return complain("%s: appeared meanwhile; give --force to replace it",
				target->name);
	return complain("%s: %s", target->name, strerror(error));
}

int target_commit(struct target *target, mode_t mode)
{
	mode_t mask = umask(0);

	umask(mask);
	if (fchmod(target->fd, mode & 0777 & ~mask) || fsync(target->fd))
		return complain("%s: %s", target->name, strerror(errno));
	return put_in_place(target);
}

void target_discard(struct target *target)
{
	sigset_t old;

	hold_signals(&old);
	if (litter)
		unlink(litter);
	litter = NULL;
	sigprocmask(SIG_SETMASK, &old, NULL);

	if (target->fd >= 0)
		close(target->fd);
	target->fd = -1;
	free(target->temporary);
	free(target->path);
	target->temporary = NULL;
	target->path = NULL;
}
