//! FINGERPRINT (RFC 8489 §14.7): tells STUN from another protocol on the same port.

const XOR: u32 = 0x5354_554E;

/// Its value for a message of which these bytes are all that stand before it.
pub(super) fn of(bytes: &[u8]) -> [u8; 4] {
    (crc32(bytes) ^ XOR).to_be_bytes()
}

/// CRC-32 of ITU-T V.42, four bits at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 4) ^ CRC_TABLE.get(usize::from(low & 0xF)).copied().unwrap_or_default()
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| step(step(crc ^ u32::from(*byte))))
}

const CRC_TABLE: [u32; 16] = [
    0x0000_0000,
    0x1DB7_1064,
    0x3B6E_20C8,
    0x26D9_30AC,
    0x76DC_4190,
    0x6B6B_51F4,
    0x4DB2_6158,
    0x5005_713C,
    0xEDB8_8320,
    0xF00F_9344,
    0xD6D6_A3E8,
    0xCB61_B38C,
    0x9B64_C2B0,
    0x86D3_D2D4,
    0xA00A_E278,
    0xBDBD_F21C,
];
