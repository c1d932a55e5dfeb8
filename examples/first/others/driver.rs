// A driver in Rust: run it as  ivt connect soft:demo/3 -- ./driver  and its first vector is descriptor 3.
use std::{fs::File, io::Read, os::unix::io::FromRawFd};

fn main() -> std::io::Result<()> {
    let mut stream = unsafe { File::from_raw_fd(3) };
    let mut record = [0u8; 56];
    while stream.read(&mut record)? == record.len() {
        let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
        println!("interrupt {} count {}", word(8), word(16));
    }
    Ok(())
}
