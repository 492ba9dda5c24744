//! Real mails with wounds of the kind that turns readers: words of MIME, charsets and HTML in wrong places.

use connector::testing::hostile::{Wound, wounded};
use proptest::prelude::*;

use crate::{check, files, fixtures, read, try_read};

const WORDS: [&[u8]; 48] = [
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b"\0",
    b"\n ",
    b"\nContent-Type: multipart/mixed; boundary=b\n",
    b"\nContent-Type: multipart/alternative; boundary=\"\"\n",
    b"\nContent-Type: multipart/signed; boundary=b; boundary*0=c\n",
    b"\nContent-Type: message/rfc822\n",
    b"\nContent-Type: message/delivery-status\n",
    b"\nContent-Type: message/partial; id=1; number=1; total=9\n",
    b"\nContent-Type: text/html; charset=utf-7\n",
    b"\nContent-Type: text/plain; charset=utf-16\n",
    b"\nContent-Type: text/plain; charset=iso-2022-jp\n",
    b"\nContent-Type: application/ms-tnef; name=winmail.dat\n",
    b"\nContent-Type: a/b; name*0*=utf-8''%ff%00; name*1=x; name*99999999999=y\n",
    b"\nContent-Transfer-Encoding: base64\n",
    b"\nContent-Transfer-Encoding: quoted-printable\n",
    b"\nContent-Transfer-Encoding: x-uuencode\n",
    b"\nContent-Disposition: attachment; filename=\"../../\xe2\x80\xae\"\n",
    b"\nFrom: <@a,@b:c@d>, g:;, \"\\\"@\" <x@[127.0.0.1]>\n",
    b"\nTo: undisclosed-recipients:;\n",
    b"\nDate: Fri, 31 Feb 99999999999999 25:61:61 +9999\n",
    b"\nMessage-ID: <<>>\n",
    b"\nReferences: <a@b><c@d> <",
    b"\nAuto-Submitted: auto-replied\n",
    b"\nAuthentication-Results: mx.desk.example; dmarc=pass header.from=(\n",
    b"\nAuthentication-Results: mx.desk.example 1; dmarc=pass header.from=b.example\n",
    b"\nX-Failed-Recipients: a@b\n",
    b"\nReturn-Path: <>\n",
    b"--b\n",
    b"--b--\n",
    b"--\n",
    b"=?utf-8?Q?=00=0a=?=",
    b"=?utf-7?B?+AAA-?=",
    b"=?iso-2022-jp?B?GyRC?=",
    b"=?",
    b"(((((((",
    b"\"",
    b"\x1b$B\x1b(B",
    b"+AAA-",
    b"begin 644 x\n",
    b"<table><td>",
    b"<!--",
    b"<svg onload=x><style>@import",
    b"<a href=\"jav&#x09;ascript:x\">",
    b"On 1.1.2025 S <a@b> wrote:\n> ",
    b"\n-----Original Message-----\nFrom: ",
];

proptest! {
    // A case reads a whole mail twice: half of what others try by default.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(2)))]

    #[test]
    fn fuzz_a_wounded_mail_is_read_within_its_bounds(which in any::<prop::sample::Index>(), wounds in prop::collection::vec(any::<Wound>(), 1..10)) {
        let mails: Vec<_> =
            files(&fixtures()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "eml")).collect();
        let path = which.get(&mails);
        let raw = wounded(&std::fs::read(path).unwrap(), &WORDS, &wounds);
        match try_read(&raw) {
            Ok((event, attachments)) => {
                check(&path.display().to_string(), &event, &attachments);
                prop_assert!(attachments.len() <= 100);
                prop_assert!(event == read(&raw).0, "the same mail is another event");
            }
            Err(why) => prop_assert!(why.reason.len() < 500, "{}", why.reason),
        }
    }

    /// Nothing but words.
    #[test]
    fn fuzz_a_mail_of_words_alone_is_read(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60)) {
        if let Ok((event, attachments)) = try_read(&words.concat()) {
            check("words", &event, &attachments);
        }
    }
}
