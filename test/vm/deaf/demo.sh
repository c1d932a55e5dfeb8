#!/bin/sh
# Two drivers share a device descriptor: the first goes deaf without an error.
# Under ivt the second is refused and the first goes on. Runs inside the VM.
#
# usage: demo.sh bare|ivt...
edu=0000:00:04.0
device=/sys/bus/pci/devices/$edu
fail() { echo "demo: $*" >&2; exit 1; }

# ended PID WHAT STATUS: a driver that ends with anything else is told of.
ended() {
	wait "$1"; status=$?
	[ $status = "$3" ] || fail "$2 ended with $status, not with $3"
}

bare() {
	echo "\$ first $edu & second"
	rm -f /run/edu.sock
	first $edu "$group" 6 & one=$!
	until [ -S /run/edu.sock ]; do sleep 0.1; done
	sleep 0.9
	second 4; two=$?
	ended $one first 3 # deaf
	[ $two = 0 ] || fail "second ended with $two"
}

under_ivt() {
	cat > /tmp/ivtd.toml <<-END
		[[device]]
		match = { name = "pci:$edu" }
		[[allow]]
		vectors = ["pci:$edu/*"]
		user = "root"
		access = "device"
	END
	ivtd --config /tmp/ivtd.toml > /tmp/ivtd.log 2>&1 & daemon=$!
	until ivt list pci:$edu/msi/0 > /dev/null 2>&1; do
		kill -0 $daemon || { cat /tmp/ivtd.log; fail "ivtd is not up"; }
		sleep 0.1
	done
	echo "\$ ivt connect --access device pci:$edu/msi/0 -- first $edu &"
	ivt connect --access device pci:$edu/msi/0 -- first $edu "$group" 1000 & one=$!
	until ivt who pci:$edu/msi/0 > /dev/null 2>&1; do sleep 0.1; done
	sleep 0.4
	echo "\$ ivt connect --access device pci:$edu/msi/0 -- second"
	ivt connect --conflict-exit-code 63 --access device pci:$edu/msi/0 -- second 4; two=$?
	sleep 0.9
	kill $one
	ended $one first 0 # heard everything
	[ $two = 63 ] || fail "second ended with $two, not with 763"
	kill $daemon
	ended $daemon ivtd 0
}

echo vfio-pci > $device/driver_override
[ -e $device/driver ] && echo $edu > $device/driver/unbind
echo $edu > /sys/bus/pci/drivers_probe
group=$(basename "$(readlink $device/iommu_group)")
for half in "$@"; do
	case $half in
	bare) bare ;;
	ivt) under_ivt ;;
	*) fail "usage: demo.sh bare|ivt..." ;;
	esac
done
