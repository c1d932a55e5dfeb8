package daemon

// Workers returns how many workers have served for the keeper, the present one included; 0 without a keeper.
func (s *Server) Workers() uint64 {
	if s.config.Store == nil {
		return 0
	}
	return s.config.Store.Memory().Generation().Load()
}
