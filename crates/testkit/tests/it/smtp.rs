use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use trellis_testkit::{Mail, SmtpSink};

const LIMIT: Duration = Duration::from_secs(10);

/// Speaks the client's part; returns the code of each answer.
async fn converse(sink: &SmtpSink, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(sink.address()).await.unwrap());
    let mut codes = Vec::new();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    for line in lines {
        stream.write_all(line.replace('\n', "\r\n").as_bytes()).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
        answer.clear();
        stream.read_line(&mut answer).await.unwrap();
        codes.push(answer[..3].to_owned());
    }
    codes
}

#[tokio::test]
async fn mails_are_kept() {
    let sink = SmtpSink::start().await.unwrap();
    let mail = [
        "HELO me",
        "MAIL FROM:<a@example.com> BODY=8BITMIME",
        "RCPT TO:<b@example.com>",
        "rcpt to:<c@example.com>",
    ];
    assert_eq!(converse(&sink, &mail).await, ["250"; 4]);
    assert_eq!(sink.mails(), [], "nothing is kept before the data came");
    let whole = [&mail[..], &["DATA", "Subject: grüße\n\n..dots\n.", "QUIT"]].concat();
    assert_eq!(converse(&sink, &whole).await, ["250", "250", "250", "250", "354", "250", "221"]);
    let wanted = Mail {
        from: "a@example.com".to_owned(),
        to: vec!["b@example.com".to_owned(), "c@example.com".to_owned()],
        data: "Subject: grüße\n\n.dots\n".to_owned(),
    };
    assert_eq!(sink.wait_for(1, LIMIT).await.unwrap(), [wanted]);
}

#[tokio::test]
async fn a_refusing_sink_keeps_nothing() {
    let sink = SmtpSink::start().await.unwrap();
    sink.set_refusing(true);
    assert_eq!(
        converse(&sink, &["HELO me", "MAIL FROM:<a@example.com>", "DATA"]).await,
        ["250", "451", "503"]
    );
    assert!(sink.wait_for(1, Duration::from_millis(1)).await.is_err());
}
