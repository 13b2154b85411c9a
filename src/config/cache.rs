//! `cache`, and the one resolved `data.cache_dir`.

use crate::config::check::Cursor;
use crate::config::outline::Claim;
use crate::config::paths;
use crate::config::sections::Sections;
use crate::config::spelling::contradiction;
use crate::config::suggest::{did_you_mean, quoted};
use crate::model::id::{ProfileName, VersionName};
use crate::model::order::{Family, Subset};
use crate::model::settings::{LinkMethod, ProfileSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const KEYS: [&str; 7] = ["version", "root", "profile", "link", "profiles", "max_quarantined", "reuse_from"];

/// The section, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) version: Option<VersionName>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) profile: Option<ProfileName>,
    pub(crate) profiles: Option<BTreeMap<ProfileName, ProfileSpec>>,
    pub(crate) family: Option<Family>,
    pub(crate) link: Option<Vec<LinkMethod>>,
    pub(crate) max_quarantined: Option<f64>,
}

/// Reads the section.
pub(crate) fn read(at: &Cursor<'_>, project_root: &Path) -> Cache {
    at.keys(&KEYS);
    let hint = "write for instance `cache: {version: v1_256hz_10-20}` in `configs/cache/base.yaml`";
    at.at("version").required(hint);
    at.at("profile").required("write `cache: {profile: smoke}`");
    at.at("root").required("write `cache: {root: cache}`");
    let profiles = profiles(&at.at("profiles"));
    let profile = profile(&at.at("profile"), profiles.as_ref());
    if let Some((profile, profiles)) = profile.as_ref().zip(profiles.as_ref()) {
        origin_reuse(at, profile, profiles);
    }
    Cache {
        version: version(&at.at("version")),
        root: paths::read(&at.at("root"), project_root),
        family: profiles.as_ref().and_then(|profiles| family(&at.at("profiles"), profiles)),
        profile,
        profiles,
        link: link(&at.at("link")),
        max_quarantined: max_quarantined(&at.at("max_quarantined")),
    }
}

fn version(at: &Cursor<'_>) -> Option<VersionName> {
    VersionName::new(at.text()?)
        .map_err(|error| {
            at.fail::<()>(format!("`{}`: {error}", at.key), "write for instance `v2_256hz_10-20`")
        })
        .ok()
}

fn profile_name(at: &Cursor<'_>, text: String) -> Option<ProfileName> {
    ProfileName::new(text)
        .map_err(|error| at.fail::<()>(format!("`{}`: {error}", at.key), "write for instance `smoke`"))
        .ok()
}

fn profile(at: &Cursor<'_>, profiles: Option<&BTreeMap<ProfileName, ProfileSpec>>) -> Option<ProfileName> {
    let name = profile_name(at, at.text()?)?;
    let Some(profiles) = profiles else { return Some(name) };
    profiles.contains_key(&name).then(|| name.clone()).or_else(|| unknown_profile(at, &name, profiles.keys()))
}

fn unknown_profile<'p, T>(
    at: &Cursor<'_>,
    name: &ProfileName,
    known: impl Iterator<Item = &'p ProfileName> + Clone,
) -> Option<T> {
    let known = known.map(ProfileName::as_str);
    let hint = format!("{}the profiles are {}", did_you_mean(name.as_str(), known.clone()), quoted(known));
    at.fail(format!("`{}` names the profile `{name}`, which does not exist", at.key), hint)
}

fn profiles(at: &Cursor<'_>) -> Option<BTreeMap<ProfileName, ProfileSpec>> {
    let example = "write for instance `profiles: {full: {subset: all_files}}` in `configs/cache/base.yaml`";
    let entries = at.required(example).then(|| at.entries())??;
    if entries.is_empty() {
        return at.fail(format!("`{}` is empty", at.key), example);
    }
    let names: Vec<String> = entries.iter().map(|(name, _)| name.clone()).collect();
    let read: Vec<Option<_>> = entries
        .into_iter()
        .map(|(name, at)| {
            at.keys(&["subset", "reuse_from"]);
            let (subset, reuse_from) = (subset(&at), reuse_from(&at.at("reuse_from"), &name, &names));
            Some((profile_name(&at, name)?, ProfileSpec { subset: subset?, reuse_from: reuse_from? }))
        })
        .collect();
    read.into_iter().collect()
}

fn subset(at: &Cursor<'_>) -> Option<Subset> {
    let hint = "write `all_files`, `first_50_files` or `balanced_50_files`, with the number you want";
    let subset = at.at("subset");
    let text = subset.required(hint).then(|| subset.text())??;
    Subset::parse(&text)
        .or_else(|| subset.fail(format!("`{}` is `{text}`, which is no subset", subset.key), hint))
}

fn reuse_from(at: &Cursor<'_>, own: &str, known: &[String]) -> Option<Vec<ProfileName>> {
    if !at.is_given() {
        return Some(Vec::new());
    }
    let mut names: Vec<ProfileName> = Vec::new();
    for (text, item) in at.texts()? {
        if text == own {
            return item.fail(
                format!("`{}` names the profile `{own}` itself", item.key),
                "delete it: a profile always uses its own files",
            );
        }
        let name = profile_name(&item, text)?;
        if !known.iter().any(|known| known == name.as_str()) {
            let known = known.iter().map(String::as_str);
            let hint =
                format!("{}the profiles are {}", did_you_mean(name.as_str(), known.clone()), quoted(known));
            return item
                .fail(format!("`{}` names the profile `{name}`, which does not exist", item.key), hint);
        }
        if names.contains(&name) {
            return item.fail(format!("`{}` names `{name}` twice", at.key), "delete one of the two");
        }
        names.push(name);
    }
    Some(names)
}

/// The origin's `cache.reuse_from`, which speaks of the selected profile.
fn origin_reuse(at: &Cursor<'_>, profile: &ProfileName, profiles: &BTreeMap<ProfileName, ProfileSpec>) {
    let (theirs, ours) = (at.at("reuse_from"), at.at("profiles").at(profile.as_str()).at("reuse_from"));
    let known: Vec<String> = profiles.keys().map(ToString::to_string).collect();
    if !theirs.is_given() {
        return;
    }
    let Some(names) = reuse_from(&theirs, profile.as_str(), &known) else { return };
    let own = profiles.get(profile).map(|spec| spec.reuse_from.clone()).unwrap_or_default();
    if names != own {
        let show = |names: &[ProfileName]| {
            format!("`[{}]`", names.iter().map(ProfileName::as_str).collect::<Vec<_>>().join(", "))
        };
        contradiction::<()>(&ours, &show(&own), &theirs, &show(&names), "");
    }
}

/// All profiles are prefixes of one order, so `first_…` and `balanced_…` cannot be mixed.
fn family(at: &Cursor<'_>, profiles: &BTreeMap<ProfileName, ProfileSpec>) -> Option<Family> {
    let of = |wanted: fn(&Subset) -> bool| {
        profiles.iter().find(|(_, spec)| wanted(&spec.subset)).map(|(name, _)| name)
    };
    let first = of(|subset| matches!(subset, Subset::First(_)));
    let balanced = of(|subset| matches!(subset, Subset::Balanced(_)));
    match (first, balanced) {
        (Some(a), Some(b)) => {
            let (a, b) = (at.at(a.as_str()).at("subset"), at.at(b.as_str()).at("subset"));
            let [a, b] =
                if a.origin().map(|o| o.layer) > b.origin().map(|o| o.layer) { [b, a] } else { [a, b] };
            b.fail(
                format!("`{}` is `{}`, but `{}` is `{}` ({})", b.key, b.shown(), a.key, a.shown(), a.place()),
                "all profiles take prefixes of one order: write `first_N_files` in all of them, or `balanced_N_files` in all",
            )
        }
        (None, Some(_)) => Some(Family::Balanced),
        _ => Some(Family::Path),
    }
}

fn link(at: &Cursor<'_>) -> Option<Vec<LinkMethod>> {
    if !at.is_given() {
        return Some(LinkMethod::ALL.to_vec());
    }
    let hint = "write `link: [reflink, hardlink, copy]`, in the order in which they are tried";
    let items = at.texts()?;
    if items.is_empty() {
        return at.fail(format!("`{}` is an empty list", at.key), hint);
    }
    let mut methods = Vec::new();
    for (_, item) in items {
        let method = item.choice(&LinkMethod::ALL, LinkMethod::as_str)?;
        if methods.contains(&method) {
            return item.fail(format!("`{}` lists `{}` twice", at.key, method.as_str()), hint);
        }
        methods.push(method);
    }
    Some(methods)
}

fn max_quarantined(at: &Cursor<'_>) -> Option<f64> {
    if !at.is_given() {
        return Some(0.01);
    }
    match at.number()? {
        share if (0.0..=1.0).contains(&share) => Some(share),
        _ => at.wrong("a share from 0 to 1", "1 % is `0.01`"),
    }
}

/// Collects what the configuration claims about the directory, in either key.
pub(crate) fn claims(sections: &Sections<'_>, experiment: &Cursor<'_>, project_root: &Path) -> Vec<Claim> {
    let claim = |at: Cursor<'_>| {
        let text = at.is_given().then(|| at.shown())?;
        let text = text.trim_matches('"').to_owned();
        let path = paths::lexical(&project_root.join(&text));
        Some(Claim { key: at.key.clone(), value: text, path, origin: at.place() })
    };
    [sections.data.at("cache_dir"), experiment.at("cache_dir")].into_iter().filter_map(claim).collect()
}

/// A `data.cache_dir` of the user must be the resolved one.
pub(crate) fn check_cache_dir(sections: &Sections<'_>, resolved: Option<&Path>, project_root: &Path) {
    let at = sections.data.at("cache_dir");
    let Some(claimed) = paths::read(&at, project_root) else { return };
    let Some(resolved) = resolved.filter(|resolved| paths::lexical(&claimed) != paths::lexical(resolved))
    else {
        return;
    };
    let cache = &sections.cache;
    let origins = ["root", "profile", "version"].map(|key| {
        let at = cache.at(key);
        format!("`cache.{key}: {}` ({})", at.shown(), at.place())
    });
    let shown = paths::shown(resolved, project_root);
    at.fail::<()>(
        format!("`data.cache_dir` is `{}`, but the cache lies at `{shown}`, which {} make", at.shown(), origins.join(", ")),
        "delete `data.cache_dir`: it is `<cache.root>/<cache.profile>/<cache.version>`, and every reader is given it; \
         to move the cache set `cache.root`",
    );
}

/// `experiment.cache_dir` was never read by anything.
pub(crate) fn check_experiment(
    experiment: &Cursor<'_>,
    profile: Option<&ProfileName>,
    profiles: &BTreeSet<&str>,
) {
    let at = experiment.at("cache_dir");
    if at.node.is_none() {
        return;
    }
    let named = at.shown().trim_matches(['"', '/']).rsplit('/').next().unwrap_or_default().to_owned();
    let meant = profiles.get(named.as_str()).copied().or(profile.map(ProfileName::as_str)).unwrap_or("smoke");
    at.fail::<()>(
        format!("`experiment.cache_dir` is `{}`, but nothing reads this key", at.shown()),
        format!(
            "delete this line and write `cache: {{profile: {meant}}}` instead: the directory follows from it"
        ),
    );
}
