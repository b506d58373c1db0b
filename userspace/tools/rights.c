// SPDX-License-Identifier: GPL-2.0
/* Who may not do what is told which line root has to type. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "rights.h"

#define GROUP		"zcdma"		/* of the device, by our rule for udev */
#define MAKE_GROUP	"groupadd -f --system " GROUP " && " TELL_UDEV " && "
#define TELL_UDEV	"udevadm control --reload && udevadm trigger " ZCDMA_DEVICE
#define ALLOW		"/sys/module/zcdma/parameters/allow"
#define ALLOW_DEFAULT	"softdma,copy-only"

/*
 * Names are looked up in the files: getpwuid() and getgrgid() would want shared libraries,
 * and usermod changes no other users and groups.
 */
static void find_user(char *name, size_t size)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *user;

	snprintf(name, size, "USER");
	while (file && (user = fgetpwent(file)))
		if (user->pw_uid == getuid())
			snprintf(name, size, "%s", user->pw_name);
	if (file)
		fclose(file);
}

static void find_group(gid_t gid, char *name, size_t size)
{
	FILE *file = fopen("/etc/group", "re");
	const struct group *group;

	snprintf(name, size, "%u", gid);
	while (file && (group = fgetgrent(file)))
		if (group->gr_gid == gid)
			snprintf(name, size, "%s", group->gr_name);
	if (file)
		fclose(file);
}

bool rights_find_group(const char *name, gid_t *gid)
{
	FILE *file = fopen("/etc/group", "re");
	const struct group *group;
	bool found = false;

	while (file && !found && (group = fgetgrent(file))) {
		found = !strcmp(group->gr_name, name);
		*gid = group->gr_gid;
	}
	if (file)
		fclose(file);
	return found;
}

/* Root's own group is nobody's to join. */
static bool has_group(const struct stat *node)
{
	const mode_t both = 0060;

	return node->st_gid && (node->st_mode & both) == both;
}

const char *rights_to_open(char text[RIGHTS_TEXT])
{
	char user[64], group[64] = GROUP;
	struct stat node;
	const char *make = "";		/* the group, and have udev know it */

	find_user(user, sizeof(user));
	if (!stat(ZCDMA_DEVICE, &node) && has_group(&node))
		find_group(node.st_gid, group, sizeof(group));
	else
		make = MAKE_GROUP;
	snprintf(text, RIGHTS_TEXT,
		 "; see zcdma(4), or as root: %susermod -aG %s %s (from %s's next login on)",
		 make, group, user, user);
	return text;
}

static void read_allow(char *text, size_t size)
{
	int fd = open(ALLOW, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (len < 0)
		len = snprintf(text, size, ALLOW_DEFAULT);
	text[len] = 0;
	text[strcspn(text, "\n")] = 0;
}

/* The driver of the first channel that would do. */
static bool find_denied(const struct zcdma_session *session, struct zcdma_query_channel *channel)
{
	for (__u32 i = 0; !zcdma_query_channel(session, 0, i, channel); i++)
		if (channel->out_state == ZCDMA_CHANNEL_DENIED &&
		    channel->out_caps & ZCDMA_CAP_COPY)
			return true;
	return false;
}

const char *rights_to_copy(const struct zcdma_session *session, const char *name,
			   char text[RIGHTS_TEXT])
{
	struct zcdma_query_channel channel;
	char allow[4096];

	if (!name && find_denied(session, &channel))
		name = channel.out_provider;
	if (!name)
		name = "*";
	read_allow(allow, sizeof(allow));
	snprintf(text, RIGHTS_TEXT, "; see zcdma(4), or as root: echo '%s%s%s' > " ALLOW, allow,
		 *allow ? "," : "", name);
	return text;
}
