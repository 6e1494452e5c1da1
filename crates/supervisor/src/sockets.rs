//! Listeners on their way to a child: a spawn can set one descriptor without more ado, so they travel through that one.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Most listeners of one child.
const MOST: usize = 8;

/// What the child is given as its standard input: `listeners` wait in it.
pub(crate) fn hand_over(listeners: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    let many =
        || io::Error::new(io::ErrorKind::InvalidInput, format!("more than {MOST} sockets for one process"));
    if listeners.len() > MOST {
        return Err(many());
    }
    let (ours, theirs) = UnixStream::pair()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(listeners)) {
        return Err(many());
    }
    sendmsg(&ours, &[IoSlice::new(b"L")], &mut control, SendFlags::empty())?;
    Ok(theirs.into())
}

/// The listeners that wait in `stdin`, in their order.
pub(crate) fn take(stdin: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(stdin, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut listeners = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            listeners.extend(descriptors);
        }
    }
    if listeners.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no socket came over standard input"));
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn listeners_arrive_in_their_order() {
        let sent: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let borrowed: Vec<_> = sent.iter().map(AsFd::as_fd).collect();
        let came = take(hand_over(&borrowed).unwrap().as_fd()).unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let came: Vec<_> = came.into_iter().map(TcpListener::from).map(|listener| port(&listener)).collect();
        assert_eq!(came, sent.iter().map(port).collect::<Vec<_>>());
    }

    #[test]
    fn more_than_fit_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(hand_over(&[listener.as_fd(); MOST + 1]).is_err());
    }
}
