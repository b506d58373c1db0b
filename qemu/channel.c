// SPDX-License-Identifier: GPL-2.0
/*
 * The result channel between guest and host: a serial port of its own.
 *
 * In the guest:  channel send TTY NONCE JOB
 *	runs the command in JOB/argv (its arguments, each with a final zero) and
 *	sends what it writes to stdout and stderr as it comes, then the files
 *	named in JOB/get (one a line), then the exit status.
 * On the host:   channel recv NONCE FOLDER
 *	reads that from stdin, writes it to stdout and stderr again, as well as
 *	to FOLDER/stdout and FOLDER/stderr, the files to FOLDER/get.N, and last
 *	the status to FOLDER/status. Fails silently if that does not come.
 *
 * A line with the nonce opens the channel: firmware and drivers may have used
 * the port before. Frames follow: a letter for the kind, three digits for the
 * length, the bytes.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define HELLO		"zcdma result channel "
#define MAX_LEN		999

enum kind {
	KIND_STDOUT	= 'o',
	KIND_STDERR	= 'e',
	KIND_FILE	= 'f',	/* a piece of the present file to get */
	KIND_FILE_END	= 'z',	/* its end: "1" if all was read, "0" if not */
	KIND_STATUS	= 'x',	/* in decimal; the last frame */
};

static void write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err(1, "write");
		data += n;
		len -= n;
	}
}

/* In the guest */

static int tty;

static void send_frame(enum kind kind, const char *data, size_t len)
{
	char frame[4 + MAX_LEN + 1];

	snprintf(frame, sizeof(frame), "%c%03zu", kind, len);
	memcpy(frame + 4, data, len);
	write_all(tty, frame, 4 + len);
}

static void open_tty(const char *path, const char *nonce)
{
	struct termios raw;

	tty = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		err(1, "%s", path);
	if (tcgetattr(tty, &raw))
		err(1, "%s", path);
	cfmakeraw(&raw);
	raw.c_cflag |= CLOCAL;
	cfsetspeed(&raw, B115200);
	if (tcsetattr(tty, TCSANOW, &raw))
		err(1, "%s", path);
	dprintf(tty, "\n" HELLO "%s\n", nonce);
}

/* Read JOB/NAME, which is small, into memory with a zero behind it. */
static char *slurp(const char *job, const char *name, size_t *len)
{
	static const size_t max = 1 << 20;
	char *data = malloc(max + 1);
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", job, name);
	file = fopen(path, "re");
	if (!file || !data)
		err(1, "%s", path);
	*len = fread(data, 1, max, file);
	data[*len] = 0;
	fclose(file);
	return data;
}

static pid_t start(const char *job, int *out, int *error)
{
	int out_pipe[2], error_pipe[2];
	size_t len, argc = 0;
	char *data = slurp(job, "argv", &len);
	char **argv = calloc(len + 1, sizeof(*argv));
	sigset_t none;
	pid_t pid;

	for (char *arg = data; arg < data + len; arg += strlen(arg) + 1)
		argv[argc++] = arg;
	if (pipe2(out_pipe, O_CLOEXEC) || pipe2(error_pipe, O_CLOEXEC))
		err(1, "pipe");

	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		setsid();
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(out_pipe[1], 1);
		dup2(error_pipe[1], 2);
		execvp(argv[0], argv);
		warn("%s", argv[0]);
		_exit(errno == ENOENT ? 127 : 126);
	}
	close(out_pipe[1]);
	close(error_pipe[1]);
	*out = out_pipe[0];
	*error = error_pipe[0];
	return pid;
}

/* Pass on what is there. False at the end or, without blocking, for nothing. */
static int forward(int fd, enum kind kind)
{
	char data[MAX_LEN];
	ssize_t n = read(fd, data, sizeof(data));

	if (n > 0)
		send_frame(kind, data, n);
	return n > 0;
}

/*
 * The command may leave a child behind that keeps the pipes open, so it is
 * over when it has ended and the pipes are empty, not when they are closed.
 */
static int run(const char *job)
{
	int out, error, status;
	struct pollfd fds[3];
	sigset_t child;
	pid_t pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	fds[2].fd = signalfd(-1, &child, SFD_CLOEXEC);
	pid = start(job, &out, &error);
	fds[0].fd = out;
	fds[1].fd = error;
	for (int i = 0; i < 3; i++)
		fds[i].events = POLLIN;

	while (poll(fds, 3, -1) >= 0 || errno == EINTR) {
		if (fds[0].revents && !forward(out, KIND_STDOUT))
			fds[0].fd = -1;
		if (fds[1].revents && !forward(error, KIND_STDERR))
			fds[1].fd = -1;
		if (fds[2].revents && waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	fcntl(out, F_SETFL, O_NONBLOCK);
	fcntl(error, F_SETFL, O_NONBLOCK);
	while (forward(out, KIND_STDOUT))
		;
	while (forward(error, KIND_STDERR))
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void send_files(const char *job)
{
	size_t len;
	char *list = slurp(job, "get", &len);

	for (char *path = strtok(list, "\n"); path; path = strtok(NULL, "\n")) {
		int fd = open(path, O_RDONLY);

		while (fd >= 0 && forward(fd, KIND_FILE))
			;
		send_frame(KIND_FILE_END, fd >= 0 ? "1" : "0", 1);
		close(fd);
	}
}

static int send_main(const char *path, const char *nonce, const char *job)
{
	char status[4];

	open_tty(path, nonce);
	snprintf(status, sizeof(status), "%d", run(job));
	send_files(job);
	send_frame(KIND_STATUS, status, strlen(status));
	tcdrain(tty);
	return 0;
}

/* On the host */

static FILE *create(const char *folder, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file)
		err(1, "%s", path);
	setbuf(file, NULL);
	return file;
}

static void await_hello(const char *nonce)
{
	char line[256], hello[256];

	snprintf(hello, sizeof(hello), HELLO "%s\n", nonce);
	do {
		if (!fgets(line, sizeof(line), stdin))
			exit(1);
	} while (strcmp(line, hello));
}

static int recv_frame(char *kind, char *data)
{
	char head[5] = "";
	size_t len;

	if (fread(head, 1, 4, stdin) != 4 || strspn(head + 1, "0123456789") != 3)
		return -1;
	*kind = head[0];
	len = atoi(head + 1);
	data[len] = 0;
	return fread(data, 1, len, stdin) == len ? (int)len : -1;
}

/*
 * Whoever reads our output may be gone; what is kept in the folder counts, so
 * errors of stdout and stderr are none of ours.
 */
static void keep(FILE *file, int fd, const char *data, size_t len)
{
	fwrite(data, 1, len, file);
	while (len && fd >= 0) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			break;
		data += n;
		len -= n;
	}
}

static int recv_main(const char *nonce, const char *folder)
{
	FILE *out = create(folder, "stdout"), *error = create(folder, "stderr");
	FILE *get = NULL;
	char kind, name[4096], data[MAX_LEN + 1];
	int len, gets = 0;

	signal(SIGPIPE, SIG_IGN);
	await_hello(nonce);
	while ((len = recv_frame(&kind, data)) >= 0) {
		if (!get && (kind == KIND_FILE || kind == KIND_FILE_END)) {
			snprintf(name, sizeof(name), "get.%d", gets++);
			get = create(folder, name);
		}
		switch (kind) {
		case KIND_STDOUT:
			keep(out, 1, data, len);
			break;
		case KIND_STDERR:
			keep(error, 2, data, len);
			break;
		case KIND_FILE:
			keep(get, -1, data, len);
			break;
		case KIND_FILE_END:
			fclose(get);
			get = NULL;
			snprintf(name, sizeof(name), "%s/get.%d", folder, gets - 1);
			if (data[0] != '1')
				unlink(name);
			break;
		case KIND_STATUS:
			keep(create(folder, "status"), -1, data, len);
			return 0;
		default:
			errx(1, "noise on the result channel");
		}
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "send"))
		return send_main(argv[2], argv[3], argv[4]);
	if (argc == 4 && !strcmp(argv[1], "recv"))
		return recv_main(argv[2], argv[3]);
	errx(2, "usage: channel send TTY NONCE JOB | channel recv NONCE FOLDER");
}
