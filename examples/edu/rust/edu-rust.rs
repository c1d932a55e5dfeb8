//! edu-rust VECTOR < numbers: the same driver as edu, in Rust without any crate. It is granted QEMU's edu device, maps its
//! registers, gives it memory, and is interrupted when a factorial or a transfer is done.

use std::io::{self, BufRead};
use std::os::unix::fs::FileExt;
use std::os::unix::io::AsRawFd;
use std::{env, process, ptr, slice};

mod ivt;
use ivt::Error;

// The registers of BAR 0 (docs/specs/edu.rst of QEMU).
const ID: usize = 0x00;
const FACTORIAL: usize = 0x08;
const STATUS: usize = 0x20;
const RAISED: usize = 0x24;
const ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

const INTERRUPT_WHEN_COMPUTED: u32 = 0x80;
const COMPUTED: u32 = 1;
const TRANSFERRED: u32 = 0x100;
const DMA_START: u32 = 1;
const DMA_TO_MEMORY: u32 = 2;
const DMA_INTERRUPT: u32 = 4;

const BUFFER: u64 = 0x40000; // the device's own memory
const IOVA: u64 = 0x10000; // where it sees ours

struct Edu {
    connection: ivt::Connection,
    registers: *mut u8,
    memory: *mut u8,
}

impl Edu {
    fn start(connection: ivt::Connection) -> Result<Edu, Error> {
        let (bar, config) = (region(&connection, 0)?, region(&connection, 7)?);
        connection.device.write_all_at(&[0x02 | 0x04, 0], config.offset + 4)?; // PCI command: memory, bus master
        let registers = map(bar.size as usize, MAP_SHARED, connection.device.as_raw_fd(), bar.offset)?;
        let memory = map(4096, MAP_SHARED | MAP_ANONYMOUS, -1, 0)?;
        let mut dma = DmaMap { argsz: 32, flags: 1 | 2, vaddr: memory as u64, iova: IOVA, size: 4096 };
        check(unsafe { ioctl(connection.container.as_raw_fd(), VFIO_IOMMU_MAP_DMA, &mut dma as *mut _ as *mut u8) })?;
        let edu = Edu { connection, registers, memory };
        match edu.load(ID) {
            id if id & 0xff == 0xed => Ok(edu),
            id => Err(io::Error::new(io::ErrorKind::Other, format!("this is no edu: its identification is {:#x}", id)).into()),
        }
    }

    fn load(&self, offset: usize) -> u32 {
        unsafe { ptr::read_volatile(self.registers.add(offset) as *const u32) }
    }

    fn store(&self, offset: usize, v: u32) {
        unsafe { ptr::write_volatile(self.registers.add(offset) as *mut u32, v) }
    }

    fn store64(&self, offset: usize, v: u64) {
        unsafe { ptr::write_volatile(self.registers.add(offset) as *mut u64, v) }
    }

    fn factorial(&mut self, n: u32) -> Result<u32, Error> {
        self.store(STATUS, INTERRUPT_WHEN_COMPUTED);
        self.store(FACTORIAL, n);
        self.wait(COMPUTED)?;
        Ok(self.load(FACTORIAL))
    }

    /// Has the device fetch a text from memory, and bring it back to another place.
    fn echo(&mut self, text: &str) -> Result<String, Error> {
        let page = unsafe { slice::from_raw_parts_mut(self.memory, 4096) };
        page[..text.len()].copy_from_slice(text.as_bytes());
        self.transfer(IOVA, BUFFER, text.len(), DMA_START | DMA_INTERRUPT)?;
        self.transfer(BUFFER, IOVA + 2048, text.len(), DMA_START | DMA_INTERRUPT | DMA_TO_MEMORY)?;
        Ok(String::from_utf8_lossy(&page[2048..2048 + text.len()]).into())
    }

    fn transfer(&mut self, from: u64, to: u64, n: usize, command: u32) -> Result<(), Error> {
        self.store64(DMA_SOURCE, from);
        self.store64(DMA_DESTINATION, to);
        self.store64(DMA_COUNT, n as u64);
        self.store(DMA_COMMAND, command);
        self.wait(TRANSFERRED)
    }

    /// Waits until the device has raised that interrupt, and acknowledges it there and at the kernel. One may come for nothing,
    /// when ivt rings in doubt.
    fn wait(&mut self, cause: u32) -> Result<(), Error> {
        loop {
            self.connection.wait()?;
            let now = self.load(RAISED);
            self.store(ACKNOWLEDGE, now);
            self.connection.acknowledge()?;
            if now & cause != 0 {
                return Ok(());
            }
        }
    }
}

fn run(vector: &str) -> Result<(), Error> {
    let mut edu = Edu::start(ivt::Connection::open(vector, "edu-rust")?)?; // 763: who has it, since when
    println!("connected {}", edu.connection.vector);
    for line in io::stdin().lock().lines() {
        let n = line?.trim().parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, format!("{}", e)))?;
        println!("{}! = {}, interrupted", n, edu.factorial(n)?);
    }
    println!("{:?} by DMA, interrupted twice", edu.echo("there and back")?);
    Ok(())
}

fn main() {
    let vector = env::args().nth(1).unwrap_or_else(|| {
        eprintln!("usage: edu-rust VECTOR < numbers");
        process::exit(2)
    });
    if let Err(e) = run(&vector) {
        eprintln!("edu-rust: {}", e);
        process::exit(1)
    }
}

// What linux/vfio.h and sys/mman.h have of this.

const VFIO_DEVICE_GET_REGION_INFO: u64 = 0x3b6c;
const VFIO_IOMMU_MAP_DMA: u64 = 0x3b71;
const MAP_SHARED: i32 = 1;
const MAP_ANONYMOUS: i32 = 0x20;

#[repr(C)]
#[derive(Default)]
struct RegionInfo { argsz: u32, flags: u32, index: u32, cap_offset: u32, size: u64, offset: u64 }

#[repr(C)]
struct DmaMap { argsz: u32, flags: u32, vaddr: u64, iova: u64, size: u64 }

extern "C" {
    fn ioctl(fd: i32, request: u64, argument: *mut u8) -> i32;
    fn mmap(at: *mut u8, size: usize, protection: i32, flags: i32, fd: i32, offset: i64) -> *mut u8;
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn region(c: &ivt::Connection, index: u32) -> io::Result<RegionInfo> {
    let mut r = RegionInfo { argsz: 32, index, ..Default::default() };
    check(unsafe { ioctl(c.device.as_raw_fd(), VFIO_DEVICE_GET_REGION_INFO, &mut r as *mut _ as *mut u8) })?;
    Ok(r)
}

/// Maps something readable and writable.
fn map(size: usize, flags: i32, fd: i32, offset: u64) -> io::Result<*mut u8> {
    match unsafe { mmap(ptr::null_mut(), size, 1 | 2, flags, fd, offset as i64) } {
        p if p as isize == -1 => Err(io::Error::last_os_error()),
        p => Ok(p),
    }
}
