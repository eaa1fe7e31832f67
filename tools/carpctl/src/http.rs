// SPDX-License-Identifier: GPL-2.0

//! One HTTP request on a connection that came in: `GET /metrics`, and nothing else.

use crate::error::{failed, Result};
use std::{
    io::{self, stdin, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// Of a request, with all its headers, in bytes.
const REQUEST_MAX: usize = 8192;
/// What is thrown away of what follows a request, in bytes.
const REST_MAX: u64 = 65536;
/// For the request and the whole answer.
const TIME: Duration = Duration::from_secs(10);
/// For the client to close the connection.
const LINGER: Duration = Duration::from_secs(1);

/// As Prometheus wants it.
const PAGE: &str = "text/plain; version=0.0.4; charset=utf-8";
const WORDS: &str = "text/plain; charset=utf-8";

/// Answers the request on standard input, with `page` if that is what it asks for.
///
/// # Errors
///
/// The page could not be made; of that the client hears as well. One that goes away or is
/// too slow is no error.
pub fn serve(page: impl FnOnce() -> Result<String>) -> Result<()> {
    let fd = stdin().as_fd().try_clone_to_owned()?;
    // its methods do for any kind of stream socket
    let mut connection = Connection {
        stream: TcpStream::from(fd),
        deadline: Instant::now() + TIME,
    };
    if connection.stream.set_read_timeout(Some(TIME)).is_err() {
        return failed("standard input is no connection");
    }
    let mut outcome = Ok(());
    let answer = match connection.request() {
        // nobody has asked
        Err(_) => return Ok(()),
        Ok(request) => match asked(&request) {
            Ok(method) => match page() {
                Ok(page) => Answer::new("200 OK", PAGE, page, method),
                Err(error) => {
                    let words = error.to_string();
                    outcome = Err(error);
                    Answer::new("500 Internal Server Error", WORDS, words, method)
                }
            },
            Err(refusal) => refusal,
        },
    };
    if connection.write_all(&answer.bytes()).is_ok() {
        connection.close();
    }
    outcome
}

/// A connection, and until when all must be done.
struct Connection {
    stream: TcpStream,
    deadline: Instant,
}

impl Connection {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(ErrorKind::TimedOut.into()),
            false => Ok(left),
        }
    }

    /// What came up to the empty line after the headers, or as far as there is room.
    fn request(&mut self) -> io::Result<Vec<u8>> {
        let mut request = Vec::new();
        while !is_whole(&request) && request.len() < REQUEST_MAX {
            let mut some = [0; 1024];
            match self.read(&mut some) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) if request.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(0) => break,
                Ok(length) => request.extend(some.iter().take(length)),
                Err(error) => return Err(error),
            }
        }
        Ok(request)
    }

    /// To close a socket with something unread in it takes from the client what it has not
    /// read of the answer.
    fn close(&mut self) {
        self.deadline = Instant::now() + LINGER;
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = io::copy(&mut self.take(REST_MAX), &mut io::sink());
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        self.stream.set_write_timeout(Some(left))?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Whether the empty line is there that ends the headers. Some end lines without a CR.
fn is_whole(request: &[u8]) -> bool {
    let ends = |end: &[u8]| request.windows(end.len()).any(|window| window == end);
    ends(b"\r\n\r\n") || ends(b"\n\n")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    /// The same without a body.
    Head,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
    method: Method,
}

impl Answer {
    fn new(status: &'static str, kind: &'static str, body: String, method: Method) -> Self {
        Self {
            status,
            kind,
            body,
            method,
        }
    }

    fn refusal(status: &'static str, words: &str) -> Self {
        Self::new(status, WORDS, format!("{words}\n"), Method::Get)
    }

    fn bytes(&self) -> Vec<u8> {
        let allow = match self.status.starts_with("405") {
            true => "Allow: GET, HEAD\r\n",
            false => "",
        };
        let mut bytes = format!(
            "HTTP/1.1 {}\r\n{allow}Content-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.status,
            self.kind,
            self.body.len()
        )
        .into_bytes();
        if self.method == Method::Get {
            bytes.extend(self.body.as_bytes());
        }
        bytes
    }
}

/// How the page is asked for.
///
/// # Errors
///
/// It is not: the answer that says why.
fn asked(request: &[u8]) -> std::result::Result<Method, Answer> {
    let wrong = |words| Err(Answer::refusal("400 Bad Request", words));
    if !is_whole(request) {
        return wrong("This is no whole request, or a very long one.");
    }
    let line = request.split(|byte| *byte == b'\n').next();
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    let words: Vec<_> = line.unwrap_or_default().trim_end().split(' ').collect();
    let [method, target, version] = words[..] else {
        return wrong("This is no HTTP request.");
    };
    if !version.starts_with("HTTP/1.") {
        return wrong("This is no HTTP/1 request.");
    }
    let path = target.split('?').next();
    match (method, path) {
        ("GET", Some("/metrics")) => Ok(Method::Get),
        ("HEAD", Some("/metrics")) => Ok(Method::Head),
        ("GET" | "HEAD", _) => Err(Answer::refusal(
            "404 Not Found",
            "There is nothing here but /metrics.",
        )),
        _ => Err(Answer::refusal(
            "405 Method Not Allowed",
            "Metrics can only be read.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str) -> &'static str {
        asked(request.as_bytes()).map_or_else(|answer| answer.status, |_| "200 OK")
    }

    #[test]
    fn what_is_answered() {
        let headers = "Host: localhost:9476\r\nAccept: */*\r\n\r\n";
        for (line, expected) in [
            ("GET /metrics HTTP/1.1", "200 OK"),
            ("GET /metrics HTTP/1.0", "200 OK"),
            ("GET /metrics?x=1 HTTP/1.1", "200 OK"),
            ("HEAD /metrics HTTP/1.1", "200 OK"),
            ("GET / HTTP/1.1", "404 Not Found"),
            ("GET /metrics/ HTTP/1.1", "404 Not Found"),
            ("POST /metrics HTTP/1.1", "405 Method Not Allowed"),
            ("DELETE / HTTP/1.1", "405 Method Not Allowed"),
            ("PRI * HTTP/2.0", "400 Bad Request"),
            ("GET  /metrics HTTP/1.1", "400 Bad Request"),
            ("GET /metrics", "400 Bad Request"),
            ("", "400 Bad Request"),
            ("\x16\x03\x01", "400 Bad Request"),
        ] {
            assert_eq!(
                status(&format!("{line}\r\n{headers}")),
                expected,
                "{line:?}"
            );
        }
        assert_eq!(status("GET /metrics HTTP/1.0\n\n"), "200 OK");
        assert_eq!(status("GET /metrics HTTP/1.0\r\n"), "400 Bad Request");
        assert_eq!(
            asked(b"\xff\xfe\r\n\r\n").expect_err("is wrong").status,
            "400 Bad Request"
        );
    }

    #[test]
    fn answers() {
        let page = |method| Answer::new("200 OK", PAGE, "a 1\n".to_owned(), method);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
                    Content-Length: 4\r\nConnection: close\r\n\r\n";
        assert_eq!(page(Method::Head).bytes(), head.as_bytes());
        assert_eq!(page(Method::Get).bytes(), format!("{head}a 1\n").as_bytes());
        let refusal = Answer::refusal("405 Method Not Allowed", "No.").bytes();
        assert!(String::from_utf8_lossy(&refusal).contains("\r\nAllow: GET, HEAD\r\n"));
    }
}
