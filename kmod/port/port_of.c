// SPDX-License-Identifier: GPL-2.0
/*
 * Ports of the device tree: nodes with compatible = "zcdma,port".
 *
 * See bindings/zcdma,port.yaml. The node is bound to this driver, and the port is
 * there as long as it is.
 */
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include "port.h"

/* The address of the register: as the CPU has it, or as the node's own bus has it. */
static int read_reg(struct zcdma_port *port)
{
	struct device_node *node = port->dev->of_node;
	struct resource res;
	const __be32 *reg;
	int err;

	if (of_property_read_bool(node, "zcdma,bus-address")) {
		reg = of_get_address(node, 0, NULL, NULL);
		if (!reg)
			return -EINVAL;
		port->reg = of_read_number(reg, of_n_addr_cells(node));
		return 0;
	}
	err = of_address_to_resource(node, 0, &res);
	port->reg = err ? 0 : res.start;
	return err;
}

static int read_node(struct zcdma_port *port)
{
	struct device_node *node = port->dev->of_node;
	const char *name = node->name;

	port->width = 1;
	port->burst = 1;
	port->mode = ZCDMA_PORT_MODE;
	port->group = INVALID_GID;
	of_property_read_u32(node, "reg-io-width", &port->width);
	of_property_read_u32(node, "zcdma,max-burst", &port->burst);
	of_property_read_u32(node, "zcdma,data-width", &port->data);
	of_property_read_string(node, "label", &name);
	port->has[ZCDMA_WAY_TX] = of_property_match_string(node, "dma-names", "tx") >= 0;
	port->has[ZCDMA_WAY_RX] = of_property_match_string(node, "dma-names", "rx") >= 0;
	if (!*name || strscpy(port->name, name, ZCDMA_NAME_LEN) < 0 ||
	    !is_power_of_2(port->width) || port->width > ZCDMA_PORT_MAX_WIDTH ||
	    port->data > port->width || !port->burst ||
	    (!port->has[ZCDMA_WAY_TX] && !port->has[ZCDMA_WAY_RX]))
		return -EINVAL;
	return read_reg(port);
}

static void port_remove(void *arg)
{
	struct zcdma_port *port = arg;

	mutex_lock(&zc_registry);
	zcdma_port_take_away(port);
	mutex_unlock(&zc_registry);
}

static int port_probe(struct platform_device *pdev)
{
	struct zcdma_port *port = devm_kzalloc(&pdev->dev, sizeof(*port), GFP_KERNEL);
	int err;

	if (!port)
		return -ENOMEM;
	port->dev = &pdev->dev;
	err = read_node(port);
	if (err)
		return dev_err_probe(port->dev, err, "no port in this node\n");
	mutex_lock(&zc_registry);
	err = zcdma_port_add(port);
	mutex_unlock(&zc_registry);
	if (err)
		return dev_err_probe(port->dev, err, "there is a port %s already\n", port->name);
	return devm_add_action_or_reset(port->dev, port_remove, port);
}

static const struct of_device_id port_ids[] = {
	{ .compatible = "zcdma,port" },
	{ }
};

/*
 * In place of MODULE_DEVICE_TABLE: Debian's modpost for a 64-bit host takes a table of a
 * 32-bit kernel for a broken one.
 */
MODULE_ALIAS("of:N*T*Czcdma,port");
MODULE_ALIAS("of:N*T*Czcdma,portC*");

static struct platform_driver port_driver = {
	.driver = {
		.name = "zcdma-port",
		.of_match_table = port_ids,
	},
	.probe = port_probe,
};

int zcdma_port_of_init(void)
{
	return platform_driver_register(&port_driver);
}

void zcdma_port_of_exit(void)
{
	platform_driver_unregister(&port_driver);
}
