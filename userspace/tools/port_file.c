// SPDX-License-Identifier: GPL-2.0
/* zcdma port save and load: declarations of ports in a file. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "declaration.h"
#include "port.h"
#include "target.h"

#define PORTS_FOLDER	"/etc/zcdma"
#define PORTS_FILE	PORTS_FOLDER "/ports"

/* The first line of a file that was saved begins so: it may be replaced. */
#define MARK		"# zcdma port save:"
#define HEADER		MARK " one port a line, see zcdma(1); the next save replaces all of this\n"

static const char save_help[] =
	"Usage: zcdma port save [OPTION...] [FILE]\n"
	"Write the ports that root has declared to FILE, as zcdma port load reads it. - is\n"
	"standard output; without FILE it is " PORTS_FILE ". For root.\n\n"
	"  -f, --force  replace FILE even if it was not saved by this command\n"
	"  -q, --quiet  no summary\n"
	"  -j, --json   the summary as JSON\n"
	"  -h, --help\n";

static const char load_help[] =
	"Usage: zcdma port load [OPTION...] [FILE]\n"
	"Declare the ports of FILE, one a line: NAME:KEY=VALUE,KEY=VALUE... The keys are the\n"
	"long options of zcdma port add, and # begins a comment. - is standard input; without\n"
	"FILE it is " PORTS_FILE ". Nothing is declared if a line is wrong. For root.\n\n"
	"  -q, --quiet  do not tell which ports were added\n"
	"  -j, --json   tell it as JSON\n"
	"  -h, --help\n";

/* What became of a declaration. */
enum outcome {
	PENDING,
	ADDED,
	RIGHTS,
	PRESENT,
	OUTCOMES,
};

static const char *const outcome_keys[OUTCOMES] = {
	[ADDED] = "added", [RIGHTS] = "rights", [PRESENT] = "present",
};

static const char *const outcome_texts[OUTCOMES] = {
	[ADDED] = "added", [RIGHTS] = "has these rights now", [PRESENT] = "was there already",
};

struct entry {
	struct declaration declaration;
	unsigned int line;
	enum outcome outcome;
};

/**
 * struct job - a file of declarations
 * @name: of the file, for messages.
 * @entries: what it says.
 * @count: of @entries.
 * @force: replace it, whatever it is.
 * @quiet: no summary.
 * @json: the summary as JSON.
 */
struct job {
	const char *name;
	struct entry *entries;
	size_t count;
	bool force;
	bool quiet;
	bool json;
};

/* ---- reading ---- */

static struct entry *find_entry(const struct job *job, const char *name)
{
	size_t i;

	for (i = 0; i < job->count; i++)
		if (!strcmp(job->entries[i].declaration.name, name))
			return &job->entries[i];
	return NULL;
}

static int add_entry(struct job *job, const struct declaration *declaration, unsigned int line)
{
	struct entry *old = find_entry(job, declaration->name), *more;

	if (old && declaration_is_rights(declaration)) {
		declaration_merge(&old->declaration, declaration);
		return 0;
	}
	if (old)
		return complain("%s:%u: %s: line %u declares this port already", job->name, line,
				declaration->name, old->line);
	more = reallocarray(job->entries, job->count + 1, sizeof(*more));
	if (!more)
		return complain("%s: %s", job->name, strerror(errno));
	job->entries = more;
	job->entries[job->count++] = (struct entry){ *declaration, line, PENDING };
	return 0;
}

/* The line without a comment and the blanks around. */
static char *strip(char *line)
{
	static const char blanks[] = " \t\r\n";
	char *end, *at = line + strspn(line, blanks);

	for (end = at; *end; end++) {
		if (*end != '#' || (end > at && !strchr(blanks, end[-1])))
			continue;
		*end = 0;
		break;
	}
	while (end > at && strchr(blanks, end[-1]))
		*--end = 0;
	return at;
}

static int read_line(struct job *job, char *line, size_t len, unsigned int number)
{
	struct declaration declaration;
	char why[DECLARATION_WHY];
	const char *wrong;
	char *text;

	if (strlen(line) != len)
		return complain("%s:%u: there is a zero byte; is it a file of ports?", job->name,
				number);
	text = strip(line);
	if (!*text)
		return 0;
	wrong = declaration_parse(&declaration, text, why);
	if (wrong)
		return complain("%s:%u: %s", job->name, number, wrong);
	return add_entry(job, &declaration, number);
}

static int read_lines(struct job *job, FILE *file)
{
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int ret = 0;

	while (!ret) {
		errno = 0;
		len = getline(&line, &size, file);
		if (len < 0)
			break;
		ret = read_line(job, line, len, ++number);
	}
	if (!ret && !feof(file))
		ret = complain("%s: %s", job->name, strerror(errno));
	free(line);
	return ret;
}

static int read_file(struct job *job)
{
	FILE *file;
	int ret;

	if (!strcmp(job->name, "-")) {
		job->name = "standard input";
		return read_lines(job, stdin);
	}
	file = fopen(job->name, "re");
	if (!file)
		return complain("%s: %s%s", job->name, strerror(errno), errno == ENOENT ?
				"; zcdma port save makes one" : "");
	ret = read_lines(job, file);
	fclose(file);
	return ret;
}

/* What the module says, with a line for each; @text is changed. */
static int read_parameter(struct job *job, char *text)
{
	unsigned int number = 0;
	char *line;
	int ret = 0;

	while (!ret && (line = strsep(&text, "\n")))
		ret = read_line(job, line, strlen(line), ++number);
	return ret;
}

/* ---- save ---- */

/* Is nothing lost that people have written? */
static bool was_saved(const char *name)
{
	char text[sizeof(MARK)] = "";
	struct stat there;
	bool ours;
	FILE *file;

	if (stat(name, &there) || !S_ISREG(there.st_mode))
		return false;
	file = fopen(name, "re");
	if (!file)
		return false;
	ours = !fread(text, 1, sizeof(MARK) - 1, file) ? !ferror(file) : !strcmp(text, MARK);
	fclose(file);
	return ours;
}

static int write_all(const struct target *target, const char *text)
{
	size_t left = strlen(text);
	ssize_t written;

	for (; left; left -= written, text += written) {
		written = write(target->fd, text, left);
		if (written < 0 && errno == EINTR)
			written = 0;
		if (written < 0)
			return complain("%s: %s", target->name, strerror(errno));
	}
	return 0;
}

/* It may tell addresses: it is root's alone, as the parameter is. */
static int write_file(const struct job *job, const char *text)
{
	struct target target = { .force = job->force || was_saved(job->name) };
	int ret;

	ret = target_check(&target, job->name, NULL);
	if (!ret)
		ret = target_create(&target, strlen(HEADER) + strlen(text));
	if (!ret)
		ret = write_all(&target, HEADER);
	if (!ret)
		ret = write_all(&target, text);
	if (!ret)
		ret = target_commit(&target, 0600);
	target_discard(&target);
	return ret;
}

static void report_save(const struct job *job)
{
	if (job->json) {
		printf("{\"file\": ");
		json_string(job->name);
		printf(", \"ports\": %zu}\n", job->count);
	} else if (!job->quiet) {
		printf("%zu port%s to %s\n", job->count, job->count == 1 ? "" : "s", job->name);
	}
}

static int save(struct job *job, const char *text)
{
	if (!strcmp(job->name, "-")) {
		fputs(HEADER, stdout);
		fputs(text, stdout);
		return 0;
	}
	if (!strcmp(job->name, PORTS_FILE) && mkdir(PORTS_FOLDER, 0755) && errno != EEXIST)
		return complain("%s: %s", PORTS_FOLDER, strerror(errno));
	if (write_file(job, text))
		return -1;
	report_save(job);
	return 0;
}

/* What load would not understand is not saved: the file would be worth nothing. */
static int save_all(struct job *job)
{
	struct job there = { .name = PORTS_PARAMETER };
	char *text = parameter_read();
	char *copy = text ? strdup(text) : NULL;
	int ret = copy ? read_parameter(&there, copy) : -1;

	job->count = there.count;
	if (!ret)
		ret = save(job, text);
	free(there.entries);
	free(copy);
	free(text);
	return ret;
}

/* ---- load ---- */

static void report_one(const struct job *job, const struct entry *entry)
{
	if (!job->json && !job->quiet)
		printf("%s: %s\n", entry->declaration.name, outcome_texts[entry->outcome]);
}

static void report_names(const struct job *job, enum outcome outcome)
{
	const char *separator = "";
	size_t i;

	printf(", \"%s\": [", outcome_keys[outcome]);
	for (i = 0; i < job->count; i++) {
		if (job->entries[i].outcome != outcome)
			continue;
		printf("%s", separator);
		json_string(job->entries[i].declaration.name);
		separator = ", ";
	}
	putchar(']');
}

static void report_load(const struct job *job)
{
	if (!job->json)
		return;
	printf("{\"file\": ");
	json_string(job->name);
	report_names(job, ADDED);
	report_names(job, RIGHTS);
	report_names(job, PRESENT);
	puts("}");
}

static int differs(const struct job *job, const struct entry *entry, const struct entry *old)
{
	const char *name = entry->declaration.name;

	if (declaration_is_rights(&old->declaration))
		return complain("%s:%u: %s: the device tree has a port of this name", job->name,
				entry->line, name);
	return complain("%s:%u: %s: was declared otherwise; to replace it: zcdma port remove %s",
			job->name, entry->line, name, name);
}

/* Which are there already? One that is another port is found before anything is declared. */
static int compare(const struct job *job, const struct job *there)
{
	size_t i;

	for (i = 0; i < job->count; i++) {
		struct entry *entry = &job->entries[i];
		struct entry *old = find_entry(there, entry->declaration.name);

		if (!old)
			continue;
		if (declaration_holds(&entry->declaration, &old->declaration))
			entry->outcome = PRESENT;
		else if (!declaration_is_rights(&entry->declaration))
			return differs(job, entry, old);
	}
	return 0;
}

static int declare(int fd, const struct job *job, struct entry *entry)
{
	char text[DECLARATION_TEXT], where[PATH_MAX + 32];
	int err;

	declaration_text(&entry->declaration, text);
	err = parameter_write(fd, text);
	if (!err) {
		entry->outcome = declaration_is_rights(&entry->declaration) ? RIGHTS : ADDED;
		return 0;
	}
	snprintf(where, sizeof(where), "%s:%u: ", job->name, entry->line);
	return port_refused(where, &entry->declaration, -err);
}

static int declare_all(const struct job *job)
{
	int fd = parameter_open();
	int ret = fd < 0 ? -1 : 0;
	size_t i;

	for (i = 0; !ret && i < job->count; i++) {
		if (job->entries[i].outcome == PENDING)
			ret = declare(fd, job, &job->entries[i]);
		if (!ret)
			report_one(job, &job->entries[i]);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

static int load_all(struct job *job)
{
	struct job there = { .name = PORTS_PARAMETER };
	char *text = NULL;
	int ret;

	ret = read_file(job);
	if (!ret) {
		text = parameter_read();
		ret = text ? read_parameter(&there, text) : -1;
	}
	if (!ret)
		ret = compare(job, &there);
	if (!ret) {
		ret = declare_all(job);
		report_load(job);
	}
	free(text);
	free(there.entries);
	return ret;
}

/* ---- options ---- */

/* Returns -1 to go on, or the exit code. */
static int parse_options(struct job *job, int argc, char **argv, const char *letters,
			 const char *help)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, letters, options + !strchr(letters, 'f'), NULL)) !=
	       -1) {
		switch (option) {
		case 'q':
			job->quiet = true;
			break;
		case 'j':
			job->json = true;
			break;
		case 'f':
			job->force = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_DONE;
		default:
			return EXIT_USAGE;
		}
	}
	if (argc - optind > 1)
		return complain_usage("%s: superfluous argument", argv[optind + 1]);
	job->name = optind < argc ? argv[optind] : PORTS_FILE;
	return -1;
}

int port_save_main(int argc, char **argv)
{
	struct job job = { 0 };
	int ret = parse_options(&job, argc, argv, "fqjh", save_help);

	if (ret >= 0)
		return ret;
	if (job.json && !strcmp(job.name, "-"))
		return complain_usage("--json: the ports go to standard output; name a file");
	return save_all(&job) ? EXIT_FAILED : EXIT_DONE;
}

int port_load_main(int argc, char **argv)
{
	struct job job = { 0 };
	int ret = parse_options(&job, argc, argv, "qjh", load_help);

	if (ret >= 0)
		return ret;
	ret = load_all(&job) ? EXIT_FAILED : EXIT_DONE;
	free(job.entries);
	return ret;
}
