# SPDX-License-Identifier: GPL-2.0
#
# The few verbs; `make help` lists them. Machines are qemu/'s business, and all
# that is built goes to out/.

MAKEFLAGS += --no-print-directory
# Of the command line only: in the environment these may be somebody else's.
TARGET :=
FILE :=
M :=
PREFIX ?= /usr/local
DESTDIR ?=

# For `all` and `install`: this machine's kernel or, where its headers are not
# installed, the one that our x86_64 guest boots.
KDIR ?= $(or $(wildcard /lib/modules/$(shell uname -r)/build),$(fetched))
fetched = $(shell qemu/setup && qemu/fetch kernel x86_64 && bash -c '. qemu/lib.sh && load_target x86_64 && echo $$kroot/headers')
out := $(CURDIR)/out/host
kbuild = $(MAKE) -C $(KDIR) M=$(out)/kmod
release = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h)
# Debian's headers come without what modules_install needs to run depmod; where
# DESTDIR is set, that is for the package's own scripts.
depmod = $(if $(DESTDIR),,depmod $(release))

.DEFAULT_GOAL := all
.PHONY: all modules tools run check check-tool check-newest check-debug mutants bench shell lint install uninstall clean help

all: modules tools	## build the modules (KDIR=kernel CROSS_COMPILE=prefix), the library and the tool

# Kbuild builds beside the sources: give it a folder of links to them.
modules:
	@mkdir -p $(out)/kmod
	@find $(out)/kmod -xtype l -delete
	@cp -rsf $(CURDIR)/kmod/. $(out)/kmod
	@$(kbuild) modules

tools:
	@$(MAKE) -C userspace O=$(out)/userspace PREFIX=$(PREFIX)

run:			## copy a file through a DMA engine in a virtual machine (FILE=path TARGET=machine)
	@qemu/demo $(or $(TARGET),x86_64) '$(FILE)'

check:			## run the tests in virtual machines (TARGET=machine for one of them)
	@qemu/check $(TARGET)

check-tool:		## test the tool and the library on this host, against a fake device
	@qemu/check-tool

check-newest:		## build the modules for the newest kernel that Debian 13 has in its backports
	@qemu/check-newest

check-debug:		## run the tests on a kernel that checks itself: KASAN, lockdep, ...
	@qemu/check x86_64-debug

mutants:		## see that the tests fail when zcdma is wrong: bugs of selftests/mutants/ (M=name for one)
	@qemu/mutants $(M)

bench:			## measure what an op costs and a session gets: table, out/bench/results.json, plots
	@qemu/bench

shell:			## an interactive virtual machine with everything loaded (TARGET=machine)
	@qemu/run --target $(or $(TARGET),x86_64) --shell

lint:			## compilers, sparse, checkpatch and shellcheck have nothing to say
	@.ci/lint

install: all		## install modules, library and tool (DESTDIR=root PREFIX=path)
	@$(kbuild) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates CONFIG_MODULE_SIG_ALL= \
		modules_install
	$(depmod)
	@$(MAKE) -C userspace O=$(out)/userspace DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) install

uninstall:		## take them away again
	rm -f $(addprefix $(DESTDIR)/lib/modules/$(release)/updates/,zcdma.ko softdma.ko)
	$(depmod)
	@$(MAKE) -C userspace O=$(out)/userspace DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) uninstall

clean:			## delete out/; what was downloaded is in ~/.cache/zcdma and stays
	rm -rf out

help:			## this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
