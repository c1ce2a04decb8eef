#!/bin/busybox sh
# The first process of the virtual machine of `cargo xtask guest`. Arguments for the suites come
# from the kernel's command line, after "--".
busybox mkdir -p /proc /sys /dev /tmp
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
for module in $(busybox cat /modules/order); do
    busybox insmod "/modules/$module" || echo "module $module does not load"
done
busybox mount -t configfs configfs /sys/kernel/config
busybox stty -F /dev/ttyS1 raw -echo
RUST_BACKTRACE=1 spu-guest suites --report /dev/ttyS1 "$@"
echo "suites ended with code $?"
busybox sync
# The machine is started so that a reboot ends it.
busybox reboot -f
