#!/bin/sh
# The rows of ./bench that need a device, inside the VM.
exec bench "$@"
