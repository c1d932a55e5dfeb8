package daemon

import _ "github.com/ivtd/ivt/test/vm/guest" // also runs in the VM, see below

// The rules hold on kernels without SO_PEERPIDFD (before 6.5) and without SO_PASSRIGHTS (before 6.16), too:
// make test-vm PKG=./internal/daemon
//
//vm:run ^(TestRule[1-9]|TestRule1[023]|TestDescriptorsWhereNoneBelong|TestSupplementaryGroups|TestPerUserLimits|TestDescriptorsRunOut)
