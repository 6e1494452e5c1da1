//! What holds on every database.

mod journal;
mod keys;
mod nodes;
mod values;

trellis_testkit::conformance! {
    crate::support::Database;
    keys {
        keys_are_written_read_and_removed
        the_first_change_of_all_is_seen_by_who_waited_for_it
        a_lock_has_one_holder
        transactions_are_all_or_nothing
        whoever_waits_is_woken
        everything_is_there_after_a_restart
        limits_are_kept
    }
    values {
        versions_are_kept_compared_and_brought_back
        a_transaction_of_values_is_all_or_nothing
        schemas_are_enforced
        a_candidate_is_for_some
        secrets_are_never_shown_and_never_on_disk
        a_watch_never_misses_the_last_value
        the_index_of_what_begins_so_grows_with_each_change_of_it
        a_purged_key_makes_room_and_leaves_no_history
    }
    journal {
        what_was_written_is_the_same_from_journal_and_tables
        nobody_overwrites_what_he_has_not_seen
        a_refused_change_leaves_its_neighbours_alone
    }
}

// A SQLite file belongs to one process, so only PostgreSQL has several nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_see_each_other() {
    nodes::two_nodes_see_each_other(crate::support::Database::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_never_held_twice() {
    nodes::a_lock_is_never_held_twice(crate::support::Database::postgres()).await;
}
