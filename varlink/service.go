package varlink

// serviceDescription is org.varlink.service, which every service has, as varlink.org defines it.
const serviceDescription = `# What every Varlink service offers: what it is, and what it can do.
interface org.varlink.service

# Says who made the service and which interfaces it has.
method GetInfo() -> (
	vendor: string,
	product: string,
	version: string,
	url: string,
	interfaces: []string
)

# Gives the description of one of them.
method GetInterfaceDescription(interface: string) -> (description: string)

# The service has no such interface.
error InterfaceNotFound(interface: string)

# The interface has no such method.
error MethodNotFound(method: string)

# The interface has the method, the service does not offer it.
error MethodNotImplemented(method: string)

# A parameter is missing, unknown or of a wrong type.
error InvalidParameter(parameter: string)

# The caller may not do that.
error PermissionDenied()

# The method answers with several replies and has to be called with "more".
error ExpectedMore()
`

// Info says what a service is, in the words of GetInfo.
type Info struct {
	Vendor     string   `json:"vendor"`
	Product    string   `json:"product"`
	Version    string   `json:"version"`
	URL        string   `json:"url"`
	Interfaces []string `json:"interfaces"` // filled in by the server
}

// serviceHandlers serve org.varlink.service.
func (s *Server) serviceHandlers() map[string]Handler {
	return map[string]Handler{
		"GetInfo":                 s.getInfo,
		"GetInterfaceDescription": s.getInterfaceDescription,
	}
}

func (s *Server) getInfo(c *Call) error {
	info := s.Info
	info.Interfaces = s.names
	return c.Reply(info)
}

func (s *Server) getInterfaceDescription(c *Call) error {
	var in struct {
		Interface string `json:"interface"`
	}
	if err := c.Decode(&in); err != nil {
		return err
	}
	text, ok := s.descriptions[in.Interface]
	if !ok {
		return InterfaceNotFound(in.Interface)
	}
	return c.Reply(struct {
		Description string `json:"description"`
	}{text})
}
