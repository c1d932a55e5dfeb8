#!/bin/sh
# Two drivers share a device descriptor: the first goes deaf without an error.
# Under ivt the second is refused and the first goes on. Runs inside the VM.
#
# usage: demo.sh bare|ivt
edu=0000:00:04.0
device=/sys/bus/pci/devices/$edu
fail() { echo "demo: $*" >&2; exit 1; }

echo vfio-pci > $device/driver_override
[ -e $device/driver ] && echo $edu > $device/driver/unbind
echo $edu > /sys/bus/pci/drivers_probe
group=$(basename "$(readlink $device/iommu_group)")

case $1 in
bare)
	echo "\$ first $edu & second"
	first $edu "$group" 6 & one=$!
	sleep 1.2
	second 4; two=$?
	wait $one; status=$?
	[ $status = 3 ] || fail "first ended with $status: it was expected to go deaf"
	[ $two = 0 ] || fail "second ended with $two"
	;;
ivt)
	command -v ivtd > /dev/null || fail "no ivtd in this VM"
	# Without a policy devices are root's, who we are.
	ivtd > /tmp/ivtd.log 2>&1 & daemon=$!
	trap 'kill $daemon' EXIT
	until ivt list > /dev/null 2>&1; do sleep 0.1; done
	echo "\$ ivt connect --access device pci:$edu/msi/0 -- first $edu &"
	ivt connect --access device pci:$edu/msi/0 -- first $edu "$group" 6 & one=$!
	sleep 1.2
	echo "\$ ivt connect --access device pci:$edu/msi/0 -- second"
	ivt connect --conflict-exit-code 63 --access device pci:$edu/msi/0 -- second 4; two=$?
	wait $one; status=$?
	[ $two = 63 ] || fail "second ended with $two, not with 763"
	[ $status = 0 ] || fail "first ended with $status: it missed an interrupt"
	;;
*)
	fail "usage: demo.sh bare|ivt" ;;
esac
