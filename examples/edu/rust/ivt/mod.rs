//! Connects a driver to an interrupt vector that is its own. Standard library only; three calls of libc, which std links anyway.
//!
//! It speaks Varlink (JSON with a NUL behind it) with ivtd, and takes the descriptors that come with the reply. The interface is
//! api/io.ivtd.interrupts.varlink.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::io::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::{env, fmt, mem, ptr};

mod json;
use json::Json;

/// Why not: ivtd's code and words, or what a system call said.
pub enum Error {
    Refused { code: u32, text: String },
    System(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Refused { code, text } => write!(f, "{} {}", code, text),
            Error::System(e) => e.fmt(f),
        }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Error::System(e)
    }
}

/// A connection to one vector of a device, with the device. It ends when it is dropped.
pub struct Connection {
    pub vector: String,
    pub device: File,
    pub container: File,
    eventfd: File,
    unmask: Option<File>,
    lifeline: File,
    _session: UnixStream,
}

impl Connection {
    /// Connects with access "device".
    pub fn open(vector: &str, label: &str) -> Result<Connection, Error> {
        let path = env::var("IVT_SOCKET").unwrap_or_else(|_| "/run/ivtd/ivtd.sock".into());
        let mut session = UnixStream::connect(path)?;
        let call = format!(
            "{{\"method\":\"io.ivtd.interrupts.Connect\",\"parameters\":{{\"vectors\":[{}],\"access\":\"device\",\"label\":{}}}}}\0",
            json::quoted(vector), json::quoted(label)
        );
        session.write_all(call.as_bytes())?;
        let (reply, mut files) = receive(&session)?;
        let p = reply.get("parameters");
        if !matches!(reply.get("error"), Json::Null) {
            return Err(refusal(p));
        }
        let delivery = p.get("deliveries").at(0);
        let mut take = |v: &Json| v.number().and_then(|n| files.get_mut(n as usize)).and_then(Option::take);
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "ivtd's reply lacks a descriptor");
        Ok(Connection {
            vector: delivery.get("vector").text().to_string(),
            device: take(p.get("deviceFileDescriptor")).ok_or_else(missing)?,
            container: take(p.get("containerFileDescriptor")).ok_or_else(missing)?,
            eventfd: take(delivery.get("deliveryFileDescriptor")).ok_or_else(missing)?,
            unmask: take(delivery.get("unmaskFileDescriptor")),
            lifeline: take(p.get("lifelineFileDescriptor")).ok_or_else(missing)?,
            _session: session,
        })
    }

    /// Waits for the next interrupt and returns how many there were since the last time.
    pub fn wait(&mut self) -> Result<u64, Error> {
        let mut both = [Poll::readable(&self.eventfd), Poll::readable(&self.lifeline)];
        while unsafe { poll(both.as_mut_ptr(), 2, -1) } < 0 {
            let e = io::Error::last_os_error();
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(e.into());
            }
        }
        if both[0].revents == 0 {
            let mut notice = [0u8; 512]; // api/io.ivtd.interrupts.varlink, at method Connect
            let n = self.lifeline.read(&mut notice)?;
            let why = String::from_utf8_lossy(&notice[n.min(24)..n]).replace('\0', ", ");
            return Err(Error::Refused { code: 1167, text: harmless(&format!("ERROR_DEVICE_NOT_CONNECTED: {}", why)) });
        }
        let mut count = [0u8; 8];
        self.eventfd.read_exact(&mut count)?;
        Ok(u64::from_ne_bytes(count))
    }

    /// Acknowledges: the kernel unmasks a level line; a message has nothing to unmask.
    pub fn acknowledge(&mut self) -> Result<(), Error> {
        match &mut self.unmask {
            Some(unmask) => Ok(unmask.write_all(&1u64.to_ne_bytes())?),
            None => Ok(()),
        }
    }
}

/// Puts a refusal into words.
fn refusal(p: &Json) -> Error {
    let mut text = format!("{}: {}", p.get("name").text(), p.get("detail").text());
    for conflict in p.get("conflicts").list() {
        for h in conflict.get("holders").list() {
            let number = |name| h.get(name).number().unwrap_or(-1.0);
            text += &format!("; {} is held by pid {} ({}, uid {}) {:?} since {}", conflict.get("vector").text(), number("pid"),
                h.get("command").text(), number("uid"), h.get("label").text(), h.get("since").text());
        }
    }
    Error::Refused { code: p.get("code").number().unwrap_or(0.0) as u32, text: harmless(&text) }
}

/// Texts of others may go to a terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect()
}

/// Receives one message with its descriptors.
fn receive(session: &UnixStream) -> io::Result<(Json, Vec<Option<File>>)> {
    let (mut text, mut files) = (Vec::new(), Vec::new());
    while text.last() != Some(&0) {
        let mut part = [0u8; 4096];
        let mut control = [0u64; 1 + 2 + 127]; // room for 253 descriptors
        let mut v = Iovec { base: part.as_mut_ptr(), len: part.len() };
        let mut m = Message { name: ptr::null_mut(), name_len: 0, iov: &mut v, iov_len: 1,
            control: control.as_mut_ptr(), control_len: mem::size_of_val(&control), flags: 0 };
        let n = unsafe { recvmsg(session.as_raw_fd(), &mut m, MSG_CMSG_CLOEXEC) };
        if n < 0 {
            return Err(io::Error::last_os_error());
        }
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.extend_from_slice(&part[..n as usize]);
        // A control message is its length (8 bytes), level and type (4 each), and here descriptors: SOL_SOCKET, SCM_RIGHTS.
        if m.control_len >= 16 && control[1] == 1 | 1 << 32 {
            let data = control[2..].iter().flat_map(|w| [*w as u32 as RawFd, (*w >> 32) as RawFd]);
            files.extend(data.take((control[0] as usize - 16) / 4).map(|fd| Some(unsafe { File::from_raw_fd(fd) })));
        }
    }
    text.pop();
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "ivtd's reply is no JSON");
    Ok((Json::parse(&String::from_utf8_lossy(&text)).ok_or_else(bad)?, files))
}

const MSG_CMSG_CLOEXEC: i32 = 0x4000_0000;

#[repr(C)]
struct Iovec { base: *mut u8, len: usize }

#[repr(C)]
struct Message { name: *mut u8, name_len: u32, iov: *mut Iovec, iov_len: usize, control: *mut u64, control_len: usize, flags: i32 }

#[repr(C)]
struct Poll { fd: i32, events: i16, revents: i16 }

impl Poll {
    fn readable(f: &File) -> Poll {
        Poll { fd: f.as_raw_fd(), events: 1, revents: 0 }
    }
}

extern "C" {
    fn recvmsg(fd: i32, m: *mut Message, flags: i32) -> isize;
    fn poll(list: *mut Poll, n: u64, milliseconds: i32) -> i32;
}
