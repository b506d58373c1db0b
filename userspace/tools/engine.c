// SPDX-License-Identifier: GPL-2.0
/* A session on the command line: opened, attached, and what goes wrong explained. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "engine.h"
#include "rights.h"

/* What to do about an error; the first of each counts. */
struct hint {
	int error;
	const char *text;
};

static const struct hint device_hints[] = {
	{ ENOENT, "; load the module: modprobe zcdma" },
	{ ENODEV, "; load the module: modprobe zcdma" },
	{ ENXIO, "; load the module: modprobe zcdma" },
	{ EPERM, "; a container or a service must be given it, too" },
	{ ENOTTY, "; it is not zcdma's device" },
	{ 0 },
};

static const struct hint attach_hints[] = {
	{ ENODEV, "; no such channel, device or provider that copies, see zcdma list" },
	{ EBUSY, "; somebody else has it, see zcdma list for what is free" },
	{ EINVAL, "; is --deadline longer than zcdma info allows?" },
	{ 0 },
};

static const struct hint transfer_hints[] = {
	{ ETIMEDOUT, "; the engine did not finish before the deadline, see --deadline, dmesg" },
	{ ENODEV, "; the engine went away" },
	{ EIO, "; the engine reported an error, see dmesg" },
	{ ENOMEM, "; memory is short, or more is locked than ulimit -l allows" },
	{ EFAULT, "; its pages cannot be had, because of its file system or its disk" },
	{ 0 },
};

static const char *hint(const struct hint *hints, int error)
{
	for (; hints->error; hints++)
		if (hints->error == error)
			return hints->text;
	return "";
}

struct zcdma_session *device_open(void)
{
	struct zcdma_session *session = zcdma_open(NULL);
	char rights[RIGHTS_TEXT];
	int error = errno;

	if (!session)
		complain("%s: %s%s", ZCDMA_DEVICE, strerror(error),
			 error == EACCES ? rights_to_open(rights) : hint(device_hints, error));
	return session;
}

static void attach_complain(const struct zcdma_session *session, const char *name, int error)
{
	char rights[RIGHTS_TEXT];

	if (error == ENODEV && !name)
		complain(NO_ENGINE);
	else
		complain("%s: cannot attach: %s%s", name ? name : "any channel", strerror(error),
			 error == EPERM ? rights_to_copy(session, name, rights) :
					  hint(attach_hints, error));
}

struct zcdma_session *engine_join(const struct engine *engine, const char *name,
				  struct zcdma_attach *attach)
{
	struct zcdma_session *session = device_open();

	if (!session)
		return NULL;
	if (!name)
		name = engine->name;
	attach->caps = ZCDMA_CAP_COPY;
	attach->deadline_ms = engine->deadline_ms;
	snprintf(attach->name, sizeof(attach->name), "%s", name ? name : "");
	if (!zcdma_attach(session, attach))
		return session;
	attach_complain(session, name, errno);
	zcdma_close(session);
	return NULL;
}

int engine_open(struct engine *engine)
{
	struct zcdma_attach attach = { 0 };

	engine->session = engine_join(engine, NULL, &attach);
	if (!engine->session)
		return -1;
	if (!zcdma_query_channel(engine->session, ZCDMA_QUERY_ATTACHED, 0, &engine->channel))
		return 0;
	attach_complain(engine->session, engine->name, errno);
	engine_close(engine);
	return -1;
}

void engine_close(struct engine *engine)
{
	zcdma_close(engine->session);
	engine->session = NULL;
}

int engine_complain(const struct engine *engine, const char *what, int error)
{
	return complain("%s: moving it by %s: %s%s", what, engine->channel.out_name,
			strerror(error), hint(transfer_hints, error));
}

int engine_set_channel(struct engine *engine, const char *text)
{
	if (!*text || strlen(text) >= ZCDMA_NAME_LEN)
		return complain_usage("--channel: %s: not a channel's name", text);
	engine->name = text;
	return EXIT_DONE;
}

int engine_set_deadline(struct engine *engine, const char *text)
{
	uint64_t value;

	if (!parse_number(text, UINT32_MAX, &value) || !value)
		return complain_usage("--deadline: %s: not a number of milliseconds", text);
	engine->deadline_ms = value;
	return EXIT_DONE;
}
