package varlink

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Names of the errors that org.varlink.service defines and every service may answer with.
const (
	ErrorInterfaceNotFound    = "org.varlink.service.InterfaceNotFound"
	ErrorMethodNotFound       = "org.varlink.service.MethodNotFound"
	ErrorMethodNotImplemented = "org.varlink.service.MethodNotImplemented"
	ErrorInvalidParameter     = "org.varlink.service.InvalidParameter"
	ErrorPermissionDenied     = "org.varlink.service.PermissionDenied"
	ErrorExpectedMore         = "org.varlink.service.ExpectedMore"
)

// ErrorTooManySessions is this package's own: what a client reads who is over Limits.Sessions or
// Limits.SessionsPerUser, before the server hangs up. Its parameters are
// (limit: int, uid: ?int); with a uid the limit is that user's.
const ErrorTooManySessions = "io.ivtd.varlink.TooManySessions"

// ErrorInternal is this package's own, without parameters: the handler failed, and the server's log
// says how.
const ErrorInternal = "io.ivtd.varlink.Internal"

var (
	// ErrServerClosed is returned by Serve after Shutdown or Close, and is the cause of the
	// contexts that Close cancels.
	ErrServerClosed = errors.New("varlink: the server was closed")

	// ErrHungUp is the cause of a call's context when its peer has hung up, and is returned by
	// replies that have nobody to go to.
	ErrHungUp = errors.New("varlink: the peer has hung up")

	// ErrAnswered is returned by a second reply to a call.
	ErrAnswered = errors.New("varlink: the call was answered already")

	// ErrNotPlain is returned by a reply that carries descriptors and is not the only reply of its
	// call: receivers that read more than one message at once would credit them to the wrong one.
	ErrNotPlain = errors.New("varlink: descriptors go only with the single reply of a plain call")

	// ErrMessageTooLong is returned for a message longer than its limit: by a client for what it
	// receives, by replies for what they would send.
	ErrMessageTooLong = errors.New("varlink: message too long")

	// ErrDescriptorsLost is returned by a client when the kernel could not deliver all the
	// descriptors of a reply (MSG_CTRUNC), for example because RLIMIT_NOFILE was reached. Those
	// that did arrive are closed.
	ErrDescriptorsLost = errors.New("varlink: descriptors of the message were lost, is RLIMIT_NOFILE reached?")

	// ErrUnread is returned by a reply with descriptors when the peer did not read, within
	// Limits.WriteTime, what it was sent before.
	ErrUnread = errors.New("varlink: the peer does not read what it was sent")
)

// An Error is an error that one side answers a call with. A handler returns one to answer with it;
// a client's call returns one when the server answered with an error.
type Error struct {
	Name       string          // with its interface, e.g. "org.varlink.service.MethodNotFound"
	Parameters json.RawMessage // a JSON object, may be empty
}

// NewError returns an error with the given parameters, which must marshal to a JSON object.
func NewError(name string, parameters any) (*Error, error) {
	raw, err := json.Marshal(parameters)
	if err != nil {
		return nil, fmt.Errorf("varlink: parameters of %s: %w", name, err)
	}
	return &Error{Name: name, Parameters: raw}, nil
}

// Error gives the name and the parameters on one line, with control characters and everything that
// is not ASCII escaped.
func (e *Error) Error() string {
	name := strconv.QuoteToASCII(e.Name)
	name = name[1 : len(name)-1]
	if len(e.Parameters) == 0 || string(e.Parameters) == "{}" {
		return name
	}
	parameters := strconv.QuoteToASCII(string(e.Parameters))
	return name + " " + unescape(parameters[1:len(parameters)-1])
}

// unescape takes back the escaping of quotation marks, which JSON has many of.
func unescape(text string) string {
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\') {
			i++
		}
		plain = append(plain, text[i])
	}
	return string(plain)
}

// Is makes errors.Is(err, &Error{Name: name}) compare names.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Name == e.Name && other.Parameters == nil
}

// Decode reads the parameters into a struct.
func (e *Error) Decode(into any) error { return decode(e.Parameters, into) }

// MethodNotFound is the error for a method that its interface does not have.
func MethodNotFound(method string) *Error {
	return standard(ErrorMethodNotFound, "method", method)
}

// MethodNotImplemented is the error for a method that is declared and that nobody serves.
func MethodNotImplemented(method string) *Error {
	return standard(ErrorMethodNotImplemented, "method", method)
}

// InterfaceNotFound is the error for an interface that the service does not have.
func InterfaceNotFound(name string) *Error {
	return standard(ErrorInterfaceNotFound, "interface", name)
}

// InvalidParameter is the error for a parameter that is missing, superfluous or of a wrong type.
// The parameter is given as a path, such as "vectors[2]".
func InvalidParameter(parameter string) *Error {
	return standard(ErrorInvalidParameter, "parameter", parameter)
}

// PermissionDenied is the error for a caller who may not.
func PermissionDenied() *Error { return &Error{Name: ErrorPermissionDenied} }

// ExpectedMore is the error for a plain call of a method that answers with several replies.
func ExpectedMore() *Error { return &Error{Name: ErrorExpectedMore} }

// standard builds an error with one string parameter.
func standard(name, parameter, value string) *Error {
	quoted, err := json.Marshal(value)
	if err != nil {
		quoted = []byte(`""`) // a string always marshals
	}
	return &Error{Name: name, Parameters: json.RawMessage(`{"` + parameter + `":` + string(quoted) + `}`)}
}

// decode reads parameters into a struct; no parameters are the same as {}. A type that does not fit
// is an *Error, InvalidParameter.
func decode(parameters json.RawMessage, into any) error {
	if into == nil || len(parameters) == 0 {
		return nil
	}
	err := json.Unmarshal(parameters, into)
	var bad *json.UnmarshalTypeError
	if errors.As(err, &bad) {
		return InvalidParameter(bad.Field)
	}
	if err != nil {
		return fmt.Errorf("varlink: parameters: %w", err)
	}
	return nil
}
