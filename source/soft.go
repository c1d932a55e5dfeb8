//go:build linux

package source

import (
	"context"
	"fmt"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

func init() { Register(softScheme{}) }

// softScheme makes groups of doorbells: vectors that programs ring, without any hardware.
//
// Settings: vectors (1 to 1<<24, default 64), shareable (default false), trigger (edge or level, default edge).
type softScheme struct{}

func (softScheme) Name() string { return "soft" }

// Discover finds nothing: a group exists because policy says so.
func (softScheme) Discover(context.Context) ([]Found, error) { return nil, nil }

// Check reads the settings.
func (softScheme) Check(c Config) error {
	_, err := softSpec(c)
	return err
}

func softSpec(c Config) (irq.SourceSpec, error) {
	s := c.read()
	group := irq.Group{
		Count:     s.int("vectors", 64, 1, irq.MaxIndex+1),
		Shareable: s.bool("shareable", false),
		Trigger:   irq.Trigger(s.word("trigger", string(irq.TriggerEdge), string(irq.TriggerLevel))),
		Maskable:  true,
		Delivery:  irq.DeliveryStream,
	}
	return irq.SourceSpec{Name: c.Name, Instance: c.Instance, Groups: []irq.Group{group}, Protection: "kernel"}, s.err()
}

func (softScheme) Open(_ context.Context, c Config) (Source, error) {
	spec, err := softSpec(c)
	if err != nil {
		return nil, err
	}
	streams, err := NewStreams(c)
	if err != nil {
		return nil, err
	}
	if spec.Instance, err = streams.instance(c, c.Name); err != nil {
		streams.Close()
		return nil, fmt.Errorf("keep the instance of %s: %w", c.Name, err)
	}
	s := &soft{spec: spec, streams: streams, bells: newBells(streams.relay, streams.keep), gone: make(chan struct{})}
	s.spec.Wiring = s
	return s, nil
}

// soft is a group of doorbells. Raisers' records come in by their bells, go through the line (where they
// are masked, counted, pended and shared) and out by the streams of the holders.
type soft struct {
	spec    irq.SourceSpec
	streams *Streams
	lines   *irq.Source
	bells   *bells
	gone    chan struct{} // never closed: there is nothing to unplug
}

func (s *soft) Spec() irq.SourceSpec  { return s.spec }
func (s *soft) Gone() <-chan struct{} { return s.gone }
func (s *soft) level() bool           { return s.spec.Groups[0].Trigger == irq.TriggerLevel }

func (s *soft) Attached(lines *irq.Source) { s.lines = lines }

func (s *soft) Wire(_ context.Context, c irq.Claim) (irq.Handler, error) {
	return s.streams.Wire(c, s.level())
}

func (s *soft) Adopt(c irq.Claim) (irq.Handler, error) { return s.streams.Adopt(c, s.level()) }
func (s *soft) SetMask(irq.Vector, bool) error         { return nil } // the line holds back what is masked
func (s *soft) Ring(irq.Vector) error                  { return nil } // the registry runs the handler

func (s *soft) Unwire(c irq.Claim) error {
	s.streams.Unwire(c)
	return nil
}

func (s *soft) Descriptors(c irq.Claim) (Descriptors, error) {
	return s.streams.Descriptors(c)
}

func (s *soft) Doorbell(v irq.Vector, raiser irq.Holder) (int, error) {
	line, err := lineOf(s.lines, "ring", v)
	if err != nil {
		return -1, err
	}
	return s.bells.give(line, raiser)
}

func (s *soft) Raise(v irq.Vector, count uint64) error {
	line, err := lineOf(s.lines, "raise", v)
	if err == nil && count > 0 {
		line.RaiseInterrupt(irq.Interrupt{Count: count, Time: kernel.Monotonic()})
	}
	return err
}

// Settle ends what claims left that did not go on after a restart, and takes over the doorbells that a former process
// had given out: what was rung in between is still in them, and now has its holders again.
func (s *soft) Settle() error {
	s.streams.Settle()
	s.bells.adopt(s.streams.takeAll(bellPrefix), s.lines)
	return nil
}

// Close revokes every copy of a doorbell or stream that is left.
func (s *soft) Close() error {
	s.bells.close()
	s.streams.Close()
	return nil
}

// lineOf returns the line of v, or says that there is none.
func lineOf(lines *irq.Source, operation string, v irq.Vector) (*irq.Line, error) {
	if line := lines.Line(v.Type, v.Index); line != nil {
		return line, nil
	}
	return nil, &irq.Error{Code: irq.ErrInvalidParameter, Operation: operation, Vector: v, Reason: irq.ReasonOutOfRange,
		Detail: "the source has no such vector", Remedies: []string{"ivt list " + v.Source}}
}
