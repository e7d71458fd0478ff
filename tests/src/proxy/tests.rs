#![allow(clippy::disallowed_methods, reason = "waits for sockets with a deadline")]

use super::*;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::time::Instant;

const DEADLINE: Duration = Duration::from_secs(20);

/// A proxy, and the listener behind it.
struct Site {
    proxy: Proxy,
    listener: TcpListener,
}

/// Both ends of a connection through the proxy.
struct Pair {
    dialler: TcpStream,
    listener: TcpStream,
}

impl Site {
    fn new() -> Site {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = listener.local_addr().unwrap();
        Site { proxy: Proxy::start((Ipv4Addr::LOCALHOST, 0).into(), target).unwrap(), listener }
    }

    /// A connection, also where the proxy listens only in a moment.
    fn dial(&self) -> Pair {
        let mut dialled = None;
        assert!(becomes(|| {
            dialled = TcpStream::connect(self.proxy.address()).ok();
            dialled.is_some()
        }));
        let ends = [dialled.unwrap(), self.listener.accept().unwrap().0];
        ends.iter().for_each(|end| end.set_read_timeout(Some(DEADLINE)).unwrap());
        let [dialler, listener] = ends;
        Pair { dialler, listener }
    }
}

impl Pair {
    /// Says one word after the other, in turn, the dialler first.
    fn greet(&self, words: &[&str]) {
        for (at, word) in words.iter().enumerate() {
            let forth = at % 2 == 0;
            let (from, to) =
                if forth { (&self.dialler, &self.listener) } else { (&self.listener, &self.dialler) };
            say(from, word);
            assert_eq!(hear(to, word.len()), *word);
        }
    }
}

fn say(mut end: &TcpStream, word: &str) {
    end.write_all(word.as_bytes()).unwrap();
}

/// So many bytes, waited for.
fn hear(mut end: &TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    end.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// All that comes until the connection is closed, by whatever means.
fn hear_all(mut end: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match end.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("not closed: {error}"),
        _ => String::from_utf8(bytes).unwrap(),
    }
}

/// Whether nothing has come yet.
fn is_silent(mut end: &TcpStream) -> bool {
    end.set_nonblocking(true).unwrap();
    let came = end.read(&mut [0]);
    end.set_nonblocking(false).unwrap();
    came.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn becomes(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn bytes_pass_both_ways_and_so_does_the_end() {
    let site = Site::new();
    let pair = site.dial();
    pair.greet(&["hello", "yes?", "this"]);
    assert!(becomes(|| site.proxy.up() == 1));
    let long = "0123456789".repeat(100_000);
    let Pair { dialler, listener } = pair;
    let told = long.clone();
    let teller = std::thread::spawn(move || say(&dialler, &told));
    assert_eq!(hear_all(&listener), long);
    teller.join().unwrap();
    assert!(becomes(|| site.proxy.up() == 0));
}

#[test]
fn a_cut_closes_connections_and_refuses_new_ones_until_it_heals() {
    let site = Site::new();
    let pair = site.dial();
    pair.greet(&["hello"]);
    site.proxy.set(Weather::Cut);
    assert_eq!([&pair.dialler, &pair.listener].map(hear_all), ["", ""]);
    assert!(becomes(|| {
        let refused = TcpStream::connect(site.proxy.address());
        refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }));
    assert!(!site.proxy.is_listening());
    // Who dialled just before was connected and let go.
    site.listener.set_nonblocking(true).unwrap();
    while site.listener.accept().is_ok() {}
    site.listener.set_nonblocking(false).unwrap();
    site.proxy.set(Weather::Clear);
    assert!(becomes(|| site.proxy.is_listening()));
    site.dial().greet(&["again", "yes"]);
}

#[test]
fn a_half_open_connection_stands_and_loses_one_direction_until_it_is_closed() {
    for (swallowed, heard) in [(Direction::Forth, ["", "back"]), (Direction::Back, ["forth", ""])] {
        let site = Site::new();
        let pair = site.dial();
        pair.greet(&["hello", "yes"]);
        site.proxy.set(Weather::Swallow(swallowed));
        say(&pair.dialler, "forth");
        say(&pair.listener, "back");
        let ends = [&pair.listener, &pair.dialler];
        for (end, heard) in ends.iter().zip(heard) {
            assert_eq!(hear(end, heard.len()), heard);
        }
        assert!(ends.iter().all(|end| is_silent(end)), "the connection stands");
        site.proxy.set(Weather::Clear);
        assert_eq!(ends.map(hear_all), ["", ""], "what was swallowed never comes");
    }
}

#[test]
fn an_end_is_swallowed_as_bytes_are() {
    let site = Site::new();
    let Pair { dialler, listener } = site.dial();
    say(&dialler, "hello");
    hear(&listener, 5);
    site.proxy.set(Weather::Swallow(Direction::Forth));
    drop(dialler);
    say(&listener, "there?");
    assert!(is_silent(&listener));
    site.proxy.set(Weather::Clear);
    assert_eq!(hear_all(&listener), "");
}

#[test]
fn slow_bytes_come_later_and_in_order() {
    let (site, delay) = (Site::new(), Duration::from_millis(60));
    let pair = site.dial();
    site.proxy.set(Weather::Slow(delay));
    let said = Instant::now();
    pair.greet(&["forth", "back"]);
    assert!(said.elapsed() >= 2 * delay);
    say(&pair.dialler, "one");
    say(&pair.dialler, "two");
    assert_eq!(hear(&pair.listener, 6), "onetwo");
}

#[test]
fn what_a_lost_connection_held_is_late() {
    let site = Site::new();
    let old = site.dial();
    old.greet(&["hello", "yes"]);
    site.proxy.set(Weather::Hold);
    say(&old.dialler, "late");
    say(&old.listener, "lost");
    site.proxy.strand();
    assert_eq!((hear_all(&old.dialler).as_str(), site.proxy.stranded()), ("", 1));
    let new = site.dial();
    new.greet(&["hello", "yes"]);
    assert!(is_silent(&old.listener), "the new connection is not up yet");
    assert_eq!(site.proxy.late(), 0);
    new.greet(&["up"]);
    assert_eq!(hear(&old.listener, 4), "late");
    assert!(becomes(|| site.proxy.late() == 1));
    drop(old.dialler);
    assert_eq!(hear_all(&old.listener), "");
    new.greet(&["on", "on"]);
}

#[test]
fn what_is_held_goes_on_when_the_weather_clears() {
    let site = Site::new();
    let pair = site.dial();
    site.proxy.set(Weather::Hold);
    say(&pair.dialler, "held");
    assert!(is_silent(&pair.listener));
    site.proxy.set(Weather::Clear);
    assert_eq!(hear(&pair.listener, 4), "held");
}
