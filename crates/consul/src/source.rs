//! What an answer is made of, and the waiting for another one.

use tokio::time::Instant;
use trellis_registry::Topic;

use crate::door::Door;
use crate::kept;
use crate::refusal::Reply;
use crate::request::Params;

/// Everything that an answer depends on. Its index is the sum of theirs: each of them only grows.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    topic: Option<Topic>,
    members: bool,
    kept: Option<String>,
}

impl From<Topic> for Source {
    fn from(topic: Topic) -> Self {
        Self { topic: Some(topic), members: false, kept: None }
    }
}

impl Source {
    /// What is kept for Consul's clients below a path.
    pub(crate) fn kept(path: impl Into<String>) -> Self {
        Self { topic: None, members: false, kept: Some(path.into()) }
    }

    /// And who shares the store.
    pub(crate) fn and_members(self) -> Self {
        Self { members: true, ..self }
    }

    /// And what is kept for Consul's clients below a path.
    pub(crate) fn and_kept(self, path: impl Into<String>) -> Self {
        Self { kept: Some(path.into()), ..self }
    }

    /// The topic, if the answer depends on nothing else: then it can be shared.
    pub(crate) fn only_topic(&self) -> Option<&Topic> {
        self.topic.as_ref().filter(|_| !self.members && self.kept.is_none())
    }
}

impl Door {
    /// The index of an answer that is made now.
    pub(crate) fn index_of(&self, source: &Source) -> Reply<u64> {
        let topic = source.topic.as_ref().map_or(0, |topic| self.registry.topic_index(topic));
        let members = if source.members { self.registry.members().epoch() } else { 0 };
        Ok(topic + members + self.kept_index(source)?)
    }

    fn kept_index(&self, source: &Source) -> Reply<u64> {
        match &source.kept {
            None => Ok(0),
            Some(path) => Ok(self.config.config_index(&kept::space()?, path)?),
        }
    }

    /// Waits, if asked to, until an answer of this may be another.
    pub(crate) async fn follow(&self, params: &Params, source: &Source) -> Reply<()> {
        let Some(after) = params.index() else { return Ok(()) };
        let wait = self.wait(params);
        if let Some(topic) = source.only_topic() {
            self.registry.watch_topic(topic, after, wait).await?;
            return Ok(());
        }
        let until = Instant::now() + wait;
        let mut members = self.registry.members().live();
        loop {
            members.mark_unchanged();
            let topic = source.topic.as_ref().map(|topic| (topic, self.registry.topic_index(topic)));
            let kept = self.kept_index(source)?;
            let left = until.saturating_duration_since(Instant::now());
            if self.index_of(source)? != after || left.is_zero() {
                return Ok(());
            }
            let of_topic = async {
                match topic {
                    Some((topic, index)) => Reply::Ok(self.registry.watch_topic(topic, index, left).await?),
                    None => std::future::pending().await,
                }
            };
            let of_kept = async {
                match &source.kept {
                    Some(path) => {
                        Reply::Ok(self.config.config_index_after(&kept::space()?, path, kept, left).await?)
                    }
                    None => std::future::pending().await,
                }
            };
            let of_members = async {
                if !source.members || members.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            // What ends early, by a limit or with the platform, is asked again, and refused then.
            tokio::select! {
                index = of_topic => { index?; }
                index = of_kept => { index?; }
                () = of_members => {}
            }
        }
    }
}
