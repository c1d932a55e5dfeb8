// Package daemon is ivtd: it serves the registry of package irq to other processes over a Unix socket.
//
// A call comes in on a session. The caller is who the kernel says wrote the message ([caller]); what it may
// see and have says the policy; what is free, the registry; and the source of the vector turns the granted
// claim into descriptors. The order is that of rule 3: visibility, policy, conflict.
//
// A granted connection is a [link]: its lifeline, the process that holds it, its token. Lifelines and
// pidfds are integers in one epoll ([poller]), whichever ends first ends the connection (rule 6).
//
// Everything that must survive a restart goes through Config.Keep.
package daemon
