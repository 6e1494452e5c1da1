use proptest::prelude::*;

use super::*;

fn seconds(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn cluster(options: OutlierOptions, count: usize, now: Instant) -> (Outliers, Vec<Member>) {
    let outliers = Outliers::new(options, now);
    let members = (0..count).map(|_| outliers.member()).collect();
    (outliers, members)
}

/// Fails until the member asks to be judged.
fn fail(outliers: &Outliers, members: &[Member], index: usize, now: Instant) -> Vec<Change> {
    let asks = (0..100).any(|_| members[index].record(Verdict::Failure));
    assert!(asks);
    outliers.evaluate(members, now)
}

fn send(member: &Member, requests: u32, failures: u32) {
    // Spread out, so that no run comes of it.
    for n in 0..requests {
        let fails = n * failures / requests != (n + 1) * failures / requests;
        member.record(if fails { Verdict::Failure } else { Verdict::Ok });
    }
}

fn ejected(members: &[Member], now: Instant) -> Vec<usize> {
    (0..members.len()).filter(|&n| members[n].is_ejected(now)).collect()
}

#[test]
fn a_run_of_failures_ejects_and_time_returns() {
    let now = Instant::now();
    let (outliers, members) = cluster(OutlierOptions::default(), 3, now);
    for verdict in
        [Verdict::Failure, Verdict::GatewayFailure, Verdict::Ok, Verdict::Failure, Verdict::Failure]
    {
        assert!(!members[1].record(verdict));
    }
    assert!(outliers.evaluate(&members, now).is_empty());
    let reason = Reason::ConsecutiveFailures;
    assert_eq!(
        fail(&outliers, &members, 1, now),
        [Change::Ejected { index: 1, reason, period: seconds(30) }]
    );
    assert_eq!(ejected(&members, now), [1]);
    assert!(ejected(&members, now + seconds(30)).is_empty());
    assert_eq!(outliers.evaluate(&members, now + seconds(30)), [Change::Returned { index: 1 }]);
    assert!(outliers.evaluate(&members, now + seconds(30)).is_empty());
}

#[test]
fn gateway_failures_have_a_run_of_their_own() {
    let now = Instant::now();
    let options = OutlierOptions {
        consecutive_failures: None,
        consecutive_gateway_failures: Some(2),
        ..OutlierOptions::default()
    };
    let (outliers, members) = cluster(options, 2, now);
    let verdicts =
        [Verdict::GatewayFailure, Verdict::Failure, Verdict::GatewayFailure, Verdict::GatewayFailure];
    assert_eq!(verdicts.map(|verdict| members[0].record(verdict)), [false, false, false, true]);
    let changes = outliers.evaluate(&members, now);
    assert!(matches!(changes[..], [Change::Ejected { reason: Reason::ConsecutiveGatewayFailures, .. }]));
}

#[test]
fn the_time_grows_and_shrinks_again() {
    let mut now = Instant::now();
    let options = OutlierOptions { max_ejection: seconds(80), ..OutlierOptions::default() };
    let (outliers, members) = cluster(options, 2, now);
    let mut periods = Vec::new();
    for _ in 0..5 {
        let changes = fail(&outliers, &members, 0, now);
        let Some(&Change::Ejected { period, .. }) = changes.last() else { panic!("{changes:?}") };
        periods.push(period.as_secs());
        // Judged while ejected: that does not count as good behaviour.
        outliers.evaluate(&members, now + period / 2);
        now += period;
    }
    assert_eq!(periods, [30, 60, 80, 80, 80]);
    now += seconds(30);
    outliers.evaluate(&members, now);
    let Some(&Change::Ejected { period, .. }) = fail(&outliers, &members, 0, now).last() else { panic!() };
    assert_eq!(period, seconds(30));
}

#[test]
fn one_may_always_go_but_never_the_last() {
    let now = Instant::now();
    let most = |share, total| {
        let options = OutlierOptions { max_ejected_share: share, ..OutlierOptions::default() };
        Outliers::new(options, now).most_ejected(total)
    };
    assert_eq!([0, 1, 2, 9, 10, 29].map(|total| most(0.1, total)), [0, 0, 1, 1, 1, 2]);
    assert_eq!([1, 2, 10].map(|total| most(1.0, total)), [0, 1, 9]);
    assert_eq!([most(0.0, 10), most(f64::NAN, 10), most(-1.0, 10), most(7.0, 10)], [0, 0, 0, 9]);
}

#[test]
fn a_member_that_could_not_go_is_judged_again() {
    let now = Instant::now();
    let (outliers, members) = cluster(OutlierOptions::default(), 5, now);
    fail(&outliers, &members, 0, now);
    assert!(fail(&outliers, &members, 1, now).is_empty());
    let later = now + seconds(30);
    assert!(matches!(fail(&outliers, &members, 1, later)[..], [_, Change::Ejected { index: 1, .. }]));
}

#[test]
fn the_worst_shares_go_first() {
    let now = Instant::now();
    let options = OutlierOptions {
        consecutive_failures: None,
        failure_share: Some(FailureShare { share: 0.5, ..FailureShare::default() }),
        max_ejected_share: 0.4,
        ..OutlierOptions::default()
    };
    let (outliers, members) = cluster(options, 6, now);
    for (member, failures) in members.iter().zip([0, 60, 80, 0, 90, 10]) {
        send(member, 100, failures);
    }
    assert!(!outliers.is_due(now) && outliers.evaluate(&members, now).is_empty());
    let later = now + seconds(10);
    assert!(outliers.is_due(later));
    outliers.evaluate(&members, later);
    assert_eq!(ejected(&members, later), [2, 4]);
    assert!(!outliers.is_due(later));
}

#[test]
fn who_is_far_below_the_others_goes() {
    let now = Instant::now();
    let success_rate = Some(SuccessRate::default());
    let options = OutlierOptions { success_rate, failure_share: None, ..OutlierOptions::default() };
    let (outliers, members) = cluster(options, 8, now);
    let later = now + seconds(10);
    for (member, failures) in members.iter().zip([1, 2, 1, 2, 20, 1, 2, 1]) {
        send(member, 100, failures);
    }
    outliers.evaluate(&members, later);
    assert_eq!(ejected(&members, later), [4]);
    // Four with enough requests are too few to compare.
    let much_later = later + seconds(300);
    members.iter().take(4).zip([0, 0, 0, 20]).for_each(|(member, failures)| send(member, 100, failures));
    outliers.evaluate(&members, much_later);
    assert!(ejected(&members, much_later).is_empty());
}

proptest! {
    #[test]
    fn the_share_is_never_exceeded_and_everybody_returns(
        steps in prop::collection::vec((0_usize..12, 0_u8..4, 0_u32..30, 0_u64..20_000), 1..200),
        count in 1_usize..12, share in 0.0..1.5,
    ) {
        let mut now = Instant::now();
        let options = OutlierOptions {
            consecutive_gateway_failures: Some(3),
            failure_share: Some(FailureShare { share: 0.5, min_requests: 5, min_members: 2 }),
            success_rate: Some(SuccessRate { deviations: 1.0, min_requests: 5, min_members: 2 }),
            max_ejected_share: share,
            ..OutlierOptions::default()
        };
        let (outliers, members) = cluster(options, count, now);
        for (index, verdict, requests, millis) in steps {
            now += Duration::from_millis(millis);
            let verdict = [Verdict::Ok, Verdict::Failure, Verdict::GatewayFailure, Verdict::Failure][usize::from(verdict)];
            let asks = (0..requests).fold(false, |asks, _| members[index % count].record(verdict) || asks);
            if asks || outliers.is_due(now) {
                outliers.evaluate(&members, now);
            }
            prop_assert!(ejected(&members, now).len() <= outliers.most_ejected(count));
        }
        prop_assert!(ejected(&members, now + options.max_ejection).is_empty());
    }
}
