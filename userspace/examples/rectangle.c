// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A rectangle of a frame buffer: an engine copies a small picture into a frame, row by row. The
 * frame is the program's own memory, as that of a compositor or a video mixer is.
 *
 *	cc rectangle.c $(pkg-config --cflags --libs libzcdma) && ./a.out > frame.ppm
 */
#include <err.h>
#include <stdio.h>

#include <zcdma.h>

/* In pixels. */
#define FRAME_WIDTH	640u
#define FRAME_HEIGHT	480u
#define WIDTH		160u
#define HEIGHT		120u

#define RED		0xff0000u
#define GREY		0x808080u

static __u32 frame[FRAME_HEIGHT][FRAME_WIDTH];
static __u32 picture[HEIGHT][WIDTH];

static void paint(__u32 *pixels, unsigned int count, __u32 color)
{
	while (count--)
		*pixels++ = color;
}

/* A pixel of PPM is three bytes: red, green, blue. */
static void print_frame(void)
{
	const __u32 *pixel = frame[0];
	unsigned int i;

	printf("P6 %u %u 255\n", FRAME_WIDTH, FRAME_HEIGHT);
	for (i = 0; i < FRAME_WIDTH * FRAME_HEIGHT; i++, pixel++) {
		putchar(*pixel >> 16 & 0xff);
		putchar(*pixel >> 8 & 0xff);
		putchar(*pixel & 0xff);
	}
}

int main(void)
{
	const unsigned int x = 300, y = 200;
	struct zcdma_session *session = zcdma_open(NULL);

	if (!session)
		err(1, "%s", ZCDMA_DEVICE);
	if (zcdma_attach(session, NULL))
		err(1, "attach");
	paint(frame[0], FRAME_WIDTH * FRAME_HEIGHT, GREY);
	paint(picture[0], WIDTH * HEIGHT, RED);

	if (zcdma_copy_2d(session, &frame[y][x], sizeof(frame[0]), picture, sizeof(picture[0]),
			  sizeof(picture[0]), HEIGHT, NULL))
		err(1, "copy");
	zcdma_close(session);
	print_frame();
	return 0;
}
