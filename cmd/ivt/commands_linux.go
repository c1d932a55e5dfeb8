package main

import "github.com/ivtd/ivt/internal/host"

// machine opens what --root names: this machine by default.
func (a *app) machine() (*host.Root, error) { return host.Open(a.root) }

// systemCommands are those of a system with a kernel to look at.
var systemCommands = []named{
	{"who", (*app).whoCommand}, {"list", (*app).listCommand}, {"show", (*app).showCommand},
	{"save", (*app).saveCommand}, {"diff", (*app).diffCommand}, {"watch", (*app).watchCommand},
	{"history", (*app).historyCommand}, {"connect", (*app).connectCommand}, {"raise", (*app).raiseCommand},
	{"check", (*app).checkCommand}, {"mask", (*app).maskCommand}, {"unmask", (*app).unmaskCommand},
	{"disconnect", (*app).disconnectCommand}, {"revoke", (*app).revokeCommand}, {"doctor", (*app).doctorCommand},
	{"bind", (*app).bindCommand}, {"unbind", (*app).unbindCommand}, {"affinity", (*app).affinityCommand},
	{"metrics", (*app).metricsCommand}, {"page", (*app).pageCommand}, {"top", (*app).topCommand},
}
