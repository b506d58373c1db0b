// SPDX-License-Identifier: GPL-2.0
/*
 * Is the machine what its file in qemu/targets/ declares? What that says to be lacking excuses
 * tests, so it must be true; and what it does not say to be lacking must be there.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "harness.h"

/* Does this file have this text, and no more, in its first line? */
static bool file_says(const char *path, const char *text)
{
	FILE *f = fopen(path, "re");
	char line[4096] = "";
	bool found = f && fgets(line, sizeof(line), f);

	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = 0;
	return found && !strcmp(line, text);
}

/* ---- what is there ---- */

static bool disk_is_there(void)
{
	return !access("/sys/block/vda", F_OK);
}

static bool huge_pages_are_there(void)
{
	return zc_number_in("/proc/meminfo", "HugePages_Total:") > 0;
}

static bool kernel_fails_on_demand(void)
{
	return !access("/sys/kernel/debug/failslab", F_OK) &&
	       !access("/proc/self/fail-nth", F_OK);
}

static bool edu_is_there(void)
{
	glob_t all = { 0 };
	bool found = false;

	glob("/sys/bus/pci/devices/*/device", 0, NULL, &all);
	for (size_t i = 0; i < all.gl_pathc; i++)
		found |= file_says(all.gl_pathv[i], "0x11e8");
	globfree(&all);
	return found;
}

static bool engine_fills(void)
{
	struct zcdma_query_channel query;

	return !zc_query(zc_provider(), &query) && query.out_caps & ZCDMA_CAP_FILL;
}

/* Several channels for one session are of one device. */
static bool session_gets_two_channels(void)
{
	struct zcdma_attach how = { .channels = 2 };
	int fd = zc_open(0);
	int err;

	strcpy(how.name, zc_provider());
	err = zc_ioctl(fd, ZCDMA_IOC_ATTACH, &how);
	close(fd);
	return !err;
}

/* At the same time, each for a session */
static bool all_channels_can_be_had(void)
{
	struct zcdma_query_channel query = { 0 };
	int fds[256], asking = zc_open(0);
	unsigned int count = 0;
	bool all = true;

	for (; count < 256 && !zc_ioctl(asking, ZCDMA_IOC_QUERY_CHANNEL, &query); query.index++) {
		if (strcmp(query.out_provider, zc_provider()))
			continue;
		fds[count] = zc_session(query.out_name, 0);
		all &= fds[count] >= 0;
		count++;
	}
	while (count--)
		close(fds[count]);
	close(asking);
	return all;
}

/* Is there a port of the machine's own, with this direction? */
static bool port_is_there(__u32 direction)
{
	struct zcdma_query_port query = { 0 };
	bool found = false;
	int fd = zc_open(0);

	for (; !found && !zc_ioctl(fd, ZCDMA_IOC_QUERY_PORT, &query); query.index++)
		found = !strcmp(query.out_provider, zc_provider()) &&
			query.out_directions & direction;
	close(fd);
	return found;
}

static bool sending_port_is_there(void)
{
	return port_is_there(ZCDMA_TX);
}

static bool receiving_port_is_there(void)
{
	return port_is_there(ZCDMA_RX);
}

/* All goes through them: "swiotlb=SLOTS,force" */
static bool bounce_buffers_are_there(void)
{
	char line[4096];
	FILE *f = fopen("/proc/cmdline", "re");
	bool found = f && fgets(line, sizeof(line), f) && strstr(line, ",force");

	if (f)
		fclose(f);
	return found;
}

/* One of them has 256 KiB at most, and what an engine has moved is not seen before its end. */
static bool long_mapping_can_be_had(void)
{
	return !bounce_buffers_are_there();
}

/* Nothing stands around an object of 256 bytes. */
static bool slabs_are_lean(void)
{
	return file_says("/sys/kernel/slab/kmalloc-256/slab_size", "256");
}

/* Its debugging of the DMA API would complain of a client that makes mistakes on purpose. */
static bool dma_can_be_misused(void)
{
	return access("/sys/kernel/debug/dma-api", F_OK);
}

/* Since Linux 6.5 a file that is written back may not be. */
static bool files_can_be_pinned_for_long(void)
{
	unsigned int major, minor;
	struct utsname name;

	uname(&name);
	if (sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major < 6 || (major == 6 && minor < 5);
}

/* A user may serve a file system. */
static bool fuse_is_there(void)
{
	return !system("modprobe -q fuse") && !access("/dev/fuse", F_OK);
}

/* ---- what is declared ---- */

FIXTURE(capability) {
};

FIXTURE_VARIANT(capability) {
	const char *word;
	bool (*is_there)(void);
	const char *implied_by;	/* what lacks that lacks this as well */
};

FIXTURE_VARIANT_ADD(capability, disk) {
	.word = "disk", .is_there = disk_is_there,
};

FIXTURE_VARIANT_ADD(capability, hugepages) {
	.word = "hugepages", .is_there = huge_pages_are_there,
};

FIXTURE_VARIANT_ADD(capability, fault_injection) {
	.word = "fault-injection", .is_there = kernel_fails_on_demand,
};

FIXTURE_VARIANT_ADD(capability, edu) {
	.word = "edu", .is_there = edu_is_there,
};

FIXTURE_VARIANT_ADD(capability, memset) {
	.word = "memset", .is_there = engine_fills,
};

FIXTURE_VARIANT_ADD(capability, two_channels) {
	.word = "two-channels", .is_there = session_gets_two_channels,
};

FIXTURE_VARIANT_ADD(capability, all_channels) {
	.word = "all-channels", .is_there = all_channels_can_be_had,
};

FIXTURE_VARIANT_ADD(capability, ports) {
	.word = "ports", .is_there = sending_port_is_there,
};

FIXTURE_VARIANT_ADD(capability, receiving_port) {
	.word = "receiving-port", .is_there = receiving_port_is_there, .implied_by = "ports",
};

FIXTURE_VARIANT_ADD(capability, bounce_buffers) {
	.word = "bounce-buffers", .is_there = bounce_buffers_are_there,
};

FIXTURE_VARIANT_ADD(capability, long_mapping) {
	.word = "long-mapping", .is_there = long_mapping_can_be_had,
};

FIXTURE_VARIANT_ADD(capability, lean_slabs) {
	.word = "lean-slabs", .is_there = slabs_are_lean,
};

FIXTURE_VARIANT_ADD(capability, dma_misuse) {
	.word = "dma-misuse", .is_there = dma_can_be_misused,
};

FIXTURE_VARIANT_ADD(capability, file_pins) {
	.word = "file-pins", .is_there = files_can_be_pinned_for_long,
};

FIXTURE_VARIANT_ADD(capability, fuse) {
	.word = "fuse", .is_there = fuse_is_there,
};

FIXTURE_VARIANT_ADD(capability, direct_memory) {
	.word = "direct-memory", .is_there = long_mapping_can_be_had,
};

FIXTURE_SETUP(capability)
{
}

FIXTURE_TEARDOWN(capability)
{
}

TEST_F(capability, is_lacking_where_it_is_declared_to_be_and_only_there)
{
	bool lacks = zc_lacks(variant->word);

	lacks |= variant->implied_by && zc_lacks(variant->implied_by);
	EXPECT_EQ(!lacks, variant->is_there()) {
		TH_LOG("'%s' is %s to be lacking", variant->word, lacks ? "said" : "not said");
	}
}

/*
 * What cannot be verified, because it is somebody's choice and no property of the machine:
 * "programs", "software" and "variety" (another target has these tests), "counted" and "threads"
 * (this run is not of that kind), "bulk" (the engine is too slow for much). And "cyclic": the
 * engine and its driver have it, but QEMU hangs when it is used.
 */
static const char * const choices[] = {
	"programs", "software", "variety", "counted", "threads", "bulk", "cyclic",
};

static bool is_capability(const char *word)
{
	struct __fixture_variant_metadata *v = _capability_fixture_object.variant;

	for (; v; v = v->next)
		if (!strcmp(word, ((const FIXTURE_VARIANT(capability) *)v->data)->word))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		if (!strcmp(word, choices[i]))
			return true;
	return false;
}

TEST(only_known_capabilities_are_declared)
{
	char words[512];

	snprintf(words, sizeof(words), "%s", getenv("ZCDMA_LACKS") ?: "");
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		EXPECT_TRUE(is_capability(word)) {
			TH_LOG("nothing is known of '%s'", word);
		}
	}
}

ZC_TEST_MAIN
