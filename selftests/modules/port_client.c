// SPDX-License-Identifier: GPL-2.0
/*
 * The least that a driver does to move data between memory and a device through
 * dmaengine: what zcdma's ops at a port are measured against.
 *
 *	echo PORT BYTES COUNT >/sys/module/port_client/parameters/run
 *
 * moves BYTES bytes COUNT times, one after the other, between the device of a port
 * that the device tree defines, and that nobody has, and memory that is mapped once
 * and coherent. The file then tells the channel, and how many nanoseconds it took.
 */
#include <linux/completion.h>
#include <linux/dmaengine.h>
#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>

#define PATIENCE	(60 * HZ)

static char channel[32];
static u64 took_ns;

static struct device *find_port(const char *name)
{
	struct platform_device *pdev;
	struct device_node *node;
	const char *label;

	for_each_compatible_node(node, NULL, "zcdma,port") {
		if (of_property_read_string(node, "label", &label) || strcmp(label, name))
			continue;
		pdev = of_find_device_by_node(node);
		of_node_put(node);
		return pdev ? &pdev->dev : NULL;
	}
	return NULL;
}

/* As the node's own bus has it, or as the CPU has it: see the binding. */
static phys_addr_t reg_of(struct device_node *node)
{
	struct resource res;

	if (of_property_read_bool(node, "zcdma,bus-address"))
		return of_read_number(of_get_address(node, 0, NULL, NULL),
				      of_n_addr_cells(node));
	return of_address_to_resource(node, 0, &res) ? 0 : res.start;
}

static int configure(struct dma_chan *dma, struct device_node *node,
		     enum dma_transfer_direction dir)
{
	struct dma_slave_config config = { .direction = dir };
	u32 width = 1, burst = 1;

	of_property_read_u32(node, "reg-io-width", &width);
	of_property_read_u32(node, "zcdma,max-burst", &burst);
	config.src_addr = reg_of(node);
	config.dst_addr = config.src_addr;
	config.src_addr_width = width;
	config.dst_addr_width = width;
	config.src_maxburst = burst;
	config.dst_maxburst = burst;
	return dmaengine_slave_config(dma, &config);
}

static void moved(void *done)
{
	complete(done);
}

static int move(struct dma_chan *dma, dma_addr_t addr, size_t len,
		enum dma_transfer_direction dir)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct dma_async_tx_descriptor *desc;

	desc = dmaengine_prep_slave_single(dma, addr, len, dir,
					   DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!desc)
		return -EIO;
	/* Some providers use descriptors again and leave there what was there. */
	desc->callback_result = NULL;
	desc->callback = moved;
	desc->callback_param = &done;
	if (dma_submit_error(dmaengine_submit(desc)))
		return -EIO;
	dma_async_issue_pending(dma);
	if (wait_for_completion_timeout(&done, PATIENCE))
		return 0;
	dmaengine_terminate_sync(dma);
	return -ETIMEDOUT;
}

static int move_all(struct dma_chan *dma, size_t len, unsigned int count,
		    enum dma_transfer_direction dir)
{
	struct device *dev = dmaengine_get_dma_device(dma);
	dma_addr_t addr;
	u64 started;
	void *mem;
	int err = 0;

	mem = dma_alloc_coherent(dev, len, &addr, GFP_KERNEL);
	if (!mem)
		return -ENOMEM;
	started = ktime_get_ns();
	while (!err && count--)
		err = move(dma, addr, len, dir);
	took_ns = ktime_get_ns() - started;
	dma_free_coherent(dev, len, mem, addr);
	return err;
}

static int run_at(struct device *dev, size_t len, unsigned int count)
{
	bool tx = of_property_match_string(dev->of_node, "dma-names", "tx") >= 0;
	enum dma_transfer_direction dir = tx ? DMA_MEM_TO_DEV : DMA_DEV_TO_MEM;
	struct dma_chan *dma = dma_request_chan(dev, tx ? "tx" : "rx");
	int err;

	if (IS_ERR(dma))
		return PTR_ERR(dma);
	strscpy(channel, dma_chan_name(dma), sizeof(channel));
	err = configure(dma, dev->of_node, dir) ?: move_all(dma, len, count, dir);
	dma_release_channel(dma);
	return err;
}

static int run_set(const char *value, const struct kernel_param *param)
{
	unsigned int len, count;
	struct device *dev;
	char name[32];
	int err;

	if (sscanf(value, "%31s %u %u", name, &len, &count) != 3 || !len || !count)
		return -EINVAL;
	dev = find_port(name);
	if (!dev)
		return -ENODEV;
	err = run_at(dev, len, count);
	put_device(dev);
	return err;
}

static int run_get(char *buf, const struct kernel_param *param)
{
	return sysfs_emit(buf, "%s %llu\n", channel, took_ns);
}

static const struct kernel_param_ops run_ops = {
	.set	= run_set,
	.get	= run_get,
};
module_param_cb(run, &run_ops, NULL, 0600);
MODULE_PARM_DESC(run, "PORT BYTES COUNT: move so much, so often; then: channel, nanoseconds");

MODULE_DESCRIPTION("Minimal client of dmaengine at a device, for zcdma's tests");
MODULE_LICENSE("GPL");
