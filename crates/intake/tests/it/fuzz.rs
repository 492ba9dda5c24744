//! A journal's file may hold anything after a bad night: what is good in it is found, and nothing else.

use bytes::Bytes;
use connector::testing::hostile::{Wound, wounded};
use intake::segment::{End, Record, SpillRef, header, scan};
use proptest::prelude::*;

use crate::support::record;

/// Three records, one of which has its raw beside it.
fn records() -> [Record; 3] {
    let spill = SpillRef { sha256: [7; 32], size: 90_000, media_type: "message/rfc822".into() };
    [record("{\"a\":1}"), Record { spill: Some(spill), ..record("a mail") }, record("x".repeat(300))]
}

fn file() -> Vec<u8> {
    let records = records().map(|record| record.encode().unwrap());
    [&header(1)[..], &records.concat()].concat()
}

/// What is found lies in the file as it is said to, in order, and nothing else is said.
fn found(file: Vec<u8>) -> Result<Vec<Record>, TestCaseError> {
    let file = Bytes::from(file);
    let (found, again) = (scan(&file), scan(&file));
    prop_assert_eq!(&found, &again);
    let mut end = 0;
    for (offset, len, record) in &found.records {
        let start = usize::try_from(*offset).unwrap();
        prop_assert!(start >= end && start + len <= file.len(), "records overlap, or leave the file");
        end = start + len;
        prop_assert_eq!(&Record::decode(&file.slice(start..end)).unwrap(), record);
        prop_assert_eq!(&record.encode().unwrap(), &file.slice(start..end));
    }
    if let End::Torn { at } = found.end {
        let at = usize::try_from(at).unwrap();
        prop_assert!(at >= end && at <= file.len(), "a torn tail is behind what is kept");
    }
    Ok(found.records.into_iter().map(|(_, _, record)| record).collect())
}

proptest! {
    #[test]
    fn fuzz_of_a_damaged_segment_the_good_records_are_found_and_no_other(
        wounds in prop::collection::vec(any::<Wound>(), 0..6),
        zeros in 0_usize..2000,
    ) {
        let (head, records, length) = (header(2), records(), [0, 0, 0x10, 0]);
        let genuine = records[1].encode().unwrap();
        let words: [&[u8]; 6] = [&head, &genuine, &length, &[0xff; 8], b"FDJOURNL", &[0; 64]];
        let mut damaged = wounded(&file(), &words, &wounds);
        damaged.extend(vec![0; zeros]);
        // A checksum of 32 bits may let one pass; not one made by the wounds we know.
        for record in found(damaged)? {
            prop_assert!(records.contains(&record), "{:?} was never written", record);
        }
        if wounds.is_empty() {
            prop_assert_eq!(found(file())?, records.to_vec());
        }
    }

    #[test]
    fn fuzz_any_bytes_are_a_segment_or_none(mut bytes in prop::collection::vec(any::<u8>(), 0..3000), whole in any::<bool>()) {
        if whole {
            bytes.splice(0..0, header(1));
        }
        prop_assert_eq!(found(bytes.clone())?, Vec::new());
        prop_assert_eq!(Record::decode(&Bytes::from(bytes)), None);
    }
}
