#![allow(clippy::unwrap_used)]
use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Four user records as the PyPI package `aws_kinesis_agg` 1.2.3 packed them; its protobuf code is Google's.
const FOREIGN: &str = "f3899ac20a05616c7068610a04626574610a0567616d6d61122731373031343131383334363034363932333137333136\
    3837333033373135383834313035373238120137\
    1a0908001a0566697273741a0c080110001a067365636f6e641a06080010011a001a0b08021a076772c3bcc39f65\
    f9fcd5375cde3d54b1090d9ba3f8e572";

fn from_hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn stream_record(data: Bytes) -> StreamRecord {
    StreamRecord { sequence_number: "77".parse().unwrap(), partition_key: "a".into(), arrival: 5, data }
}

fn all(data: &Bytes, range: Option<HashRange>) -> Vec<Record> {
    deaggregate(&"shard".into(), stream_record(data.clone()), range).collect()
}

fn plain(data: &Bytes) -> Vec<Record> {
    let record = stream_record(data.clone());
    vec![Record {
        shard_id: "shard".into(),
        sequence_number: record.sequence_number,
        sub_sequence_number: 0,
        partition_key: record.partition_key,
        arrival: record.arrival,
        data: record.data,
    }]
}

fn user(partition_key: &str, explicit_hash_key: Option<u128>, data: &'static str) -> UserRecord {
    UserRecord { partition_key: partition_key.into(), explicit_hash_key, data: data.into() }
}

fn sealed(message: &[u8]) -> Bytes {
    seal([&MAGIC, message].concat())
}

#[test]
fn what_another_library_packed_is_unpacked() {
    let records = all(&from_hex(FOREIGN), None);
    let seen: Vec<_> =
        records.iter().map(|r| (r.sub_sequence_number, r.partition_key.as_str(), r.data.to_vec())).collect();
    let expected: Vec<_> = [(0, "alpha", "first"), (1, "beta", "second"), (2, "alpha", ""), (3, "gamma", "grüße")]
        .map(|(index, key, data)| (index, key, data.as_bytes().to_vec()))
        .into();
    assert_eq!(seen, expected);
    assert!(records.iter().all(|record| record.arrival == 5 && record.sequence_number.as_str() == "77"));
}

#[test]
fn what_is_packed_here_is_what_another_library_packs() {
    let records = [
        user("alpha", None, "first"),
        user("beta", Some(1 << 127), "second"),
        user("alpha", Some(7), ""),
        user("gamma", None, "grüße"),
    ];
    assert_eq!(aggregate(&records), from_hex(FOREIGN));
}

#[test]
fn user_records_of_another_shard_are_left_out_and_counted_by_their_index() {
    // MD5 of "alpha" begins with 2c, that of "gamma" with 05: both in the lower half. "beta" is sent to 2^127.
    let data = from_hex(FOREIGN);
    let lower = HashRange { start: 0, end: (1 << 127) - 1 };
    let upper = HashRange { start: 1 << 127, end: u128::MAX };
    let indices = |range| all(&data, Some(range)).iter().map(|record| record.sub_sequence_number).collect::<Vec<_>>();
    assert_eq!(indices(lower), [0, 2, 3]);
    assert_eq!(indices(upper), [1]);
    assert_eq!(indices(HashRange { start: 7, end: 7 }), [2]);
    assert_eq!(indices(HashRange { start: 0, end: 6 }), [0_u64; 0]);
    assert_eq!(indices(HashRange { start: 0, end: u128::MAX }), [0, 1, 2, 3]);
}

#[test]
fn the_hash_key_is_md5() {
    // RFC 1321, A.5.
    assert_eq!(hash_key(""), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
    assert_eq!(hash_key("message digest"), 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0);
}

#[test]
fn a_damaged_aggregate_is_handed_on_whole() {
    let key: &[u8] = b"\x0a\x01k";
    let damaged: [(&str, Vec<u8>); 9] = [
        ("no such key", b"\x1a\x04\x08\x00\x1a\x00".to_vec()),
        ("no such key in the second record", [key, b"\x1a\x04\x08\x00\x1a\x00\x1a\x04\x08\x01\x1a\x00"].concat()),
        ("no such hash key", [key, b"\x1a\x06\x08\x00\x10\x00\x1a\x00"].concat()),
        ("no data", [key, b"\x1a\x02\x08\x00"].concat()),
        ("no key index", [key, b"\x1a\x02\x1a\x00"].concat()),
        ("a key that is no text", b"\x0a\x01\xff".to_vec()),
        ("a hash key that is no number", b"\x12\x02-5".to_vec()),
        ("a hash key beyond 128 bits", [&b"\x12\x27"[..], &[b'9'; 39]].concat()),
        ("cut off", [key, b"\x1a\x05\x08\x00\x1a\x00"].concat()),
    ];
    for (what, message) in damaged {
        let data = sealed(&message);
        assert_eq!(all(&data, None), plain(&data), "{what}");
    }
    let long = sealed(&[&b"\x0a\x81\x08"[..], &[b'k'; 1_025]].concat());
    assert_eq!(all(&long, None), plain(&long), "a key of 1,025 bytes");
    let nothing = sealed(b"");
    assert_eq!(all(&nothing, None), plain(&nothing), "as the Kinesis Client Library has it");
    let empty = sealed(key);
    assert_eq!(all(&empty, None), [], "a sound aggregate of no records");
}

fn user_records() -> impl Strategy<Value = Vec<UserRecord>> {
    let keys = prop_oneof!["[a-c]", ".{0,40}"];
    let record = (keys, option::of(any::<u128>()), vec(any::<u8>(), 0..60));
    let record = record.prop_map(|(partition_key, explicit_hash_key, data)| UserRecord {
        partition_key,
        explicit_hash_key,
        data: data.into(),
    });
    vec(record, 1..30)
}

proptest! {
    #[test]
    fn what_is_packed_comes_out_again(users in user_records(), start in any::<u128>(), end in any::<u128>()) {
        let data = aggregate(&users);
        let expect = |keep: &dyn Fn(u128) -> bool| {
            let hash = |user: &UserRecord| user.explicit_hash_key.unwrap_or_else(|| hash_key(&user.partition_key));
            let kept = users.iter().enumerate().filter(|(_, user)| keep(hash(user)));
            kept.map(|(n, user)| (n as u64, user.partition_key.clone(), user.data.clone())).collect::<Vec<_>>()
        };
        let seen = |range| {
            let records = all(&data, range).into_iter();
            records.map(|r| (r.sub_sequence_number, r.partition_key, r.data)).collect::<Vec<_>>()
        };
        prop_assert_eq!(seen(None), expect(&|_| true));
        prop_assert_eq!(seen(Some(HashRange { start, end })), expect(&|key| start <= key && key <= end));
    }

    #[test]
    fn any_bytes_pass_through_unchanged(data in vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let data: Bytes = if magic { [&MAGIC[..], &data].concat().into() } else { data.into() };
        prop_assert_eq!(all(&data, None), plain(&data));
    }

    #[test]
    fn any_message_with_a_sound_checksum_is_sound_or_passes_through(message in vec(any::<u8>(), 0..200)) {
        let data = sealed(&message);
        let records = all(&data, None);
        let whole = records == plain(&data);
        prop_assert!(whole || records.iter().all(|record| record.data.len() < message.len()));
    }

    /// Damage behind the checksum: what an honest but broken producer may send.
    #[test]
    fn a_changed_message_never_yields_a_part(users in user_records(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let sound = aggregate(&users);
        let mut message = sound[MAGIC.len()..sound.len() - CHECKSUM].to_vec();
        let at = at.index(message.len());
        message[at] = to;
        let (data, torn) = (sealed(&message), [&MAGIC[..], &message, &sound[sound.len() - CHECKSUM..]].concat());
        // One byte can hide at most what lies in its own field, or join it to others: it never panics, and either all
        // indices are there or the whole record is.
        let records = all(&data, None);
        let whole = records == plain(&data);
        let indices: Vec<u64> = records.iter().map(|record| record.sub_sequence_number).collect();
        prop_assert!(whole || indices == (0..indices.len() as u64).collect::<Vec<_>>());
        let torn = Bytes::from(torn);
        if torn != sound {
            prop_assert_eq!(all(&torn, None), plain(&torn), "the checksum does not fit");
        }
    }
}
