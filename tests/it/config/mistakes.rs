//! Every mistake a person can make names the file and line, the key, and the mend.

use super::{Project, holds, told};

/// Mistakes in an experiment's config `x.yaml`: text, and fragments that one problem must hold.
const EXPERIMENT: &[(&str, &[&str])] = &[
    // Names.
    ("cache:\n  profil: smoke\n", &["x.yaml:2: unknown key `cache.profil`", "did you mean `profile`?"]),
    ("cahe: {profile: smoke}\n", &["x.yaml:1: unknown section `cahe`", "did you mean `cache`?"]),
    ("preprocesing:\n  clip: 5\n", &["x.yaml:1: unknown section `preprocesing`", "`preprocessing`"]),
    ("Windows: {length_s: 30}\n", &["x.yaml:1", "`Windows`", "did you mean `windows`?"]),
    ("data: {datset: tusz}\n", &["x.yaml:1: unknown key `data.datset`", "did you mean `dataset`?"]),
    ("data:\n  cache_dri: x\n", &["x.yaml:2", "`data.cache_dri`", "`cache_dir`"]),
    (
        "preprocessing: {sample_rate: 256}\n",
        &["`preprocessing.sample_rate`", "did you mean `sampling_rate`?"],
    ),
    ("preprocessing: {notch: 50}\n", &["`preprocessing.notch`", "did you mean `notch_freq`?"]),
    ("windows: {length: 60}\n", &["`windows.length`", "did you mean `length_s`?", "`stride_s`"]),
    ("labels: {seizures: [seiz]}\n", &["`labels.seizures`", "did you mean `seizure`?"]),
    ("storage: {type: float16}\n", &["x.yaml:1: unknown key `storage.type`", "`dtype`"]),
    ("dataset: tusz\n", &["x.yaml:1: `dataset` belongs into a dataset file", "data: {dataset: tusz}"]),
    ("dataset:\n  root: /data\n", &["x.yaml:1", "`dataset` belongs", "EEG_DATA_ROOT"]),
    (
        "data: {dataset: tus}\n",
        &["x.yaml:1: `data.dataset` is `tus`", "configs/datasets/tus.yaml", "did you mean `tusz`?"],
    ),
    (
        "data: {dataset: ../../etc/passwd}\n",
        &["x.yaml:1", "`../../etc/passwd`", "the datasets are `demo`, `folder`, `tusz`"],
    ),
    // The cache directory.
    (
        "experiment:\n  name: a\n  cache_dir: cache/smoke\n",
        &["x.yaml:3: `experiment.cache_dir` is `cache/smoke`", "delete this line", "cache: {profile: smoke}"],
    ),
    (
        "data:\n  cache_dir: cache/tusz\n",
        &[
            "x.yaml:2: `data.cache_dir` is `cache/tusz`",
            "`cache/full/demo_v1_256hz_10-20`",
            "base.yaml:8",
            "base.yaml:9",
            "demo.yaml:",
            "delete `data.cache_dir`",
        ],
    ),
    ("data: {cache_dir: /cache/full/demo_v1_256hz_10-20}\n", &["x.yaml:1", "`data.cache_dir`"]),
    ("cache: {root: ~/cache}\n", &["x.yaml:1: `cache.root` is `~/cache`", "${HOME}/cache"]),
    ("cache: {root: ''}\n", &["x.yaml:1: `cache.root` is empty"]),
    // Versions and profiles.
    ("cache: {version: latest}\n", &["x.yaml:1: `cache.version`", "`latest` is the link"]),
    ("cache: {version: v1/x}\n", &["x.yaml:1", "`cache.version`", "`v1/x`"]),
    ("cache: {version: 2}\n", &["x.yaml:1: `cache.version` must be a text, not `2`", "\"2\""]),
    ("cache: {version: null}\n", &["x.yaml:1: `cache.version` is not set"]),
    (
        "cache: {profile: smok}\n",
        &["x.yaml:1: `cache.profile` names the profile `smok`", "did you mean `smoke`?", "`dev`, `full`"],
    ),
    ("cache: {profiles: {smoke: {subset: 50}}}\n", &["x.yaml:1: `cache.profiles.smoke.subset`", "\"50\""]),
    ("cache: {profiles: {smoke: {subset: first_0_files}}}\n", &["`first_0_files`", "`first_50_files`"]),
    (
        "cache:\n  profiles:\n    tiny: {}\n",
        &["x.yaml:3: `cache.profiles.tiny.subset` is not set", "`all_files`"],
    ),
    (
        "cache: {profiles: {smoke: {subset: balanced_50_files}}}\n",
        &[
            "x.yaml:1: `cache.profiles.smoke.subset` is `balanced_50_files`",
            "`first_500_files` (configs/cache/base.yaml:13)",
            "one order",
        ],
    ),
    (
        "cache: {profiles: {smoke: {reuse_from: [ful]}}}\n",
        &["x.yaml:1", "`ful`, which does not exist", "did you mean `full`?"],
    ),
    ("cache: {profiles: {smoke: {reuse_from: [smoke]}}}\n", &["names the profile `smoke` itself"]),
    ("cache: {profiles: {smoke: {reuse_from: [dev, dev]}}}\n", &["names `dev` twice"]),
    (
        "cache: {profiles: {smoke: {subsett: all_files}}}\n",
        &["`cache.profiles.smoke.subsett`", "did you mean `subset`?"],
    ),
    ("cache: {profiles: [smoke]}\n", &["x.yaml:1: `cache.profiles` must be a map"]),
    (
        "cache: {reuse_from: [dev]}\n",
        &[
            "x.yaml:1: `cache.reuse_from` is `[dev]`",
            "`[dev, smoke]` (configs/cache/base.yaml:14)",
            "two spellings",
        ],
    ),
    (
        "cache: {link: [symlink]}\n",
        &["x.yaml:1", "`symlink`, which is none of `reflink`, `hardlink`, `copy`"],
    ),
    ("cache: {link: []}\n", &["`cache.link` is an empty list"]),
    ("cache: {link: [copy, copy]}\n", &["lists `copy` twice"]),
    ("cache: {max_quarantined: 5}\n", &["x.yaml:1: `cache.max_quarantined`", "from 0 to 1", "0.01"]),
    ("cache: {max_quarantined: -0.1}\n", &["`cache.max_quarantined`"]),
    ("cache: 5\n", &["x.yaml:1: `cache` must be a map"]),
    // Flat keys.
    (
        "preprocessing: {montage: 10-10}\n",
        &["x.yaml:1: `preprocessing.montage` is `10-10`", "`\"10-20\"`", "channels: {order"],
    ),
    ("preprocessing:\n  bandpass: [120, 0.5]\n", &["x.yaml:2: `preprocessing.bandpass`", "lower edge first"]),
    ("preprocessing: {bandpass: [0.5, 130]}\n", &["x.yaml:1", "130 Hz is not below 128 Hz", "below 128 Hz"]),
    ("preprocessing: {sampling_rate: 200}\nwindows: {length_s: 60}\n", &["120 Hz is not below 100 Hz"]),
    (
        "preprocessing: {bandpass: [0.5]}\n",
        &["`preprocessing.bandpass` must be two edges in Hz", "[0.5, 120.0]"],
    ),
    ("preprocessing: {bandpass: 0.5-120}\n", &["`preprocessing.bandpass` must be a list"]),
    ("preprocessing: {bandpass: [-1, 100]}\n", &["`preprocessing.bandpass[0]` must be above 0"]),
    ("preprocessing: {notch_freq: 128}\n", &["notch edge 128 Hz is not below 128 Hz"]),
    ("preprocessing: {notch_freq: 0}\n", &["`preprocessing.notch_freq` must be above 0"]),
    (
        "preprocessing: {notch_freq: fifty}\n",
        &["x.yaml:1: `preprocessing.notch_freq` must be a number, not `fifty`"],
    ),
    (
        "preprocessing: {sampling_rate: '256'}\n",
        &["must be a number", "remove the quotes: `sampling_rate: 256`"],
    ),
    ("preprocessing: {sampling_rate: 0}\n", &["`preprocessing.sampling_rate` must be a rate"]),
    (
        "preprocessing: {sampling_rate: .nan}\n",
        &["`preprocessing.sampling_rate` must be a finite number, not `.nan`"],
    ),
    (
        "preprocessing: {normalize: z-score}\n",
        &["`z-score`, which is none of `zscore`, `robust`, `none`", "did you mean `zscore`?"],
    ),
    ("preprocessing: {clip: 0}\n", &["`preprocessing.clip` must be above 0"]),
    ("preprocessing: {clip: .inf}\n", &["`preprocessing.clip` must be a finite number"]),
    ("preprocessing: {init: first}\n", &["`first`", "did you mean `first_sample`?"]),
    ("preprocessing: {gaps: skip}\n", &["none of `error`, `split`, `fill`"]),
    (
        "preprocessing: {truncated: keep}\n",
        &["`preprocessing.truncated`", "did you mean `keep_whole_records`?"],
    ),
    ("preprocessing: {flat: zeros}\n", &["did you mean `zero`?"]),
    ("preprocessing: {use_mne: maybe}\n", &["`preprocessing.use_mne` must be `true` or `false`"]),
    // Channels.
    ("preprocessing: {channels: {order: []}}\n", &["`preprocessing.channels.order` is an empty list"]),
    (
        "preprocessing: {channels: {order: [Fp1, Cz, FP1]}}\n",
        &["order[2]` lists `FP1` although `Fp1` is already there"],
    ),
    ("preprocessing: {channels: {order: [T3, T7], aliases: {T7: T3}}}\n", &["lists `T7` although `T3`"]),
    (
        "preprocessing: {channels: {order: [EEG Fp1-REF, FP1]}}\n",
        &["lists `FP1` although `EEG Fp1-REF` is already there"],
    ),
    (
        "preprocessing: {channels: {order: [Fp1, Cz], interpolate: [Fz]}}\n",
        &["`Fz`, which is not in the channel order", "`Fp1`, `Cz`"],
    ),
    (
        "preprocessing: {channels: {order: [Fp1, XYZ], interpolate: [XYZ]}}\n",
        &["`preprocessing.channels.interpolate` names `XYZ`, which has no position"],
    ),
    ("preprocessing: {channels: {interpolate: [Fzz]}}\n", &["`Fzz`", "did you mean `Fz`?"]),
    ("preprocessing: {channels: {duplicates: last}}\n", &["none of `error`, `first`"]),
    (
        "preprocessing: {channels: {ordre: [Cz]}}\n",
        &["unknown key `preprocessing.channels.ordre`", "did you mean `order`?"],
    ),
    ("preprocessing: {channels: {aliases: {T7: T3, T3: X}}}\n", &["leads to `T3`, which is itself an alias"]),
    (
        "preprocessing: {montage: '10-20', channels: {order: [Cz]}}\n",
        &["`preprocessing.montage` has no effect", "x.yaml:1"],
    ),
    // Steps.
    (
        "preprocessing:\n  steps: [{bandpas: {}}]\n",
        &["x.yaml:2: unknown step `bandpas`", "did you mean `bandpass`?"],
    ),
    (
        "preprocessing:\n  steps:\n    - zscore\n    - notch\n",
        &["x.yaml:4: the step `notch` needs its parameters", "- notch: {freq_hz: 60"],
    ),
    (
        "preprocessing: {steps: [{clip: 10}]}\n",
        &["`preprocessing.steps[0].clip` must be a map", "- clip: {limit: 10}"],
    ),
    (
        "preprocessing: {steps: [{clip: {limit: 1.0e+39}}]}\n",
        &["`preprocessing.steps[0].clip.limit` is 1e39", "float32"],
    ),
    ("preprocessing: {clip: 1.0e+39}\n", &["`preprocessing.clip` is 1e39", "float32"]),
    ("preprocessing: {steps: [{clip: {limit: -1}}]}\n", &["steps[0].clip.limit` must be above 0"]),
    (
        "preprocessing: {steps: [{clip: {limt: 1}}]}\n",
        &["unknown key `preprocessing.steps[0].clip.limt`", "did you mean `limit`?"],
    ),
    (
        "preprocessing: {steps: [{bandpass: {low_hz: 1, high_hz: 40, order: 0, phase: zero}}]}\n",
        &["order` must be a whole number from 1 to 12"],
    ),
    (
        "preprocessing: {steps: [{bandpass: {low_hz: 1, high_hz: 40, order: 4}}]}\n",
        &["bandpass.phase` is not set", "phase: zero"],
    ),
    (
        "preprocessing: {steps: [{bandpass: {low_hz: 50, high_hz: 40, order: 4, phase: zero}}]}\n",
        &["lower edge (50 Hz) at or above its upper edge (40 Hz)"],
    ),
    (
        "preprocessing: {steps: [{highpass: {freq_hz: 1, order: 2, phase: zero, init: zero}}]}\n",
        &["init` has no effect on a zero-phase filter"],
    ),
    (
        "preprocessing: {steps: [{lowpass: {freq_hz: 1, order: 2, phase: forward}}]}\n",
        &["none of `zero`, `causal`"],
    ),
    (
        "preprocessing: {steps: [{resample: {rate_hz: 100, method: linear}}]}\n",
        &["none of `fft`, `polyphase`"],
    ),
    (
        "preprocessing: {steps: [{resample: {rate_hz: 100, method: fft}}, {notch: {freq_hz: 50, phase: zero}}]}\n",
        &["notch edge 50 Hz is not below 50 Hz", "100 Hz"],
    ),
    (
        "preprocessing: {steps: [{reference: mean}]}\n",
        &["`average` or a list of bipolar pairs", "bipolar: [[Fp1"],
    ),
    ("preprocessing: {steps: [{reference: {bipolar: [[Fp1]]}}]}\n", &["must be a pair of two electrodes"]),
    ("preprocessing: {steps: [{reference: {bipolar: [[Fp1, Fp1]]}}]}\n", &["which is no pair of electrodes"]),
    ("preprocessing: {steps: [{reference: {bipolar: [[Fp1, F7], [FP1, F7]]}}]}\n", &["a second time"]),
    ("preprocessing: {steps: [{reference: average}, {reference: average}]}\n", &["second reference"]),
    (
        "preprocessing:\n  steps: [zscore]\n  clip: 10\n",
        &[
            "x.yaml:3: `preprocessing.clip` has no effect, because `preprocessing.steps` (x.yaml:2) replaces it",
        ],
    ),
    ("preprocessing: {steps: zscore}\n", &["`preprocessing.steps` must be a list", "steps: [zscore]"]),
    ("preprocessing: {steps: [{zscore: {}, clip: {limit: 1}}]}\n", &["must be one step"]),
    (
        "data: {sampling_rate: 250}\npreprocessing: {steps: [{resample: {rate_hz: 256, method: fft}}]}\n",
        &["x.yaml:1: `data.sampling_rate` is 250", "resampling to 256 Hz"],
    ),
    // Windows, labels, storage.
    ("windows: {length_s: 0}\n", &["x.yaml:1: `windows.length_s` must be above 0"]),
    ("windows: {stride_s: 0.001}\n", &["0.256 samples at 256 Hz", "write for instance 0.00390625,"]),
    (
        "windows: {stride_s: 0.1}\n",
        &["`windows.stride_s` is 0.1 s", "25.6 samples", "write for instance 0.1015625,"],
    ),
    (
        "preprocessing: {sampling_rate: 250.7}\nwindows: {length_s: 1}\n",
        &["250.7 samples at 2507/10 Hz", "write for instance 10,"],
    ),
    ("windows: {length_s: sixty}\n", &["`windows.length_s` must be a number"]),
    (
        "data: {window_size: 30}\n",
        &[
            "x.yaml:1: `data.window_size` is 30, but `windows.length_s` is 60 (configs/cache/base.yaml:18)",
            "two spellings",
        ],
    ),
    ("data: {stride: 5}\n", &["`data.stride` is 5", "`windows.stride_s` is 10"]),
    (
        "data:\n  sampling_rate: 250\n",
        &[
            "x.yaml:2: `data.sampling_rate` is 250, but `preprocessing.sampling_rate` is 256 (configs/cache/base.yaml:17)",
            "delete `data.sampling_rate`",
        ],
    ),
    (
        "data: {data_dir: /elsewhere}\n",
        &[
            "`data.data_dir` is `/elsewhere`, but `dataset.root` is `.demo/edf` (configs/datasets/demo.yaml:8)",
            "data: {dataset: NAME}",
        ],
    ),
    ("data: {splits: [train, dev]}\n", &["there is no split `dev`", "did you mean `val`?"]),
    ("data: {splits: []}\n", &["`data.splits` is an empty list"]),
    (
        "labels: {background: [bckg, seiz]}\n",
        &[
            "x.yaml:1: the code `seiz` is in `labels.seizure` (configs/cache/base.yaml:19) and in `labels.background` (x.yaml:1)",
        ],
    ),
    ("labels: {seizure: []}\n", &["`labels.seizure` is an empty list"]),
    ("labels: {seizure: seiz gnsz}\n", &["`seiz gnsz`, which is no single code", "[seiz, gnsz]"]),
    ("labels: {unlabelled: ignore}\n", &["none of `error`, `keep`, `background`"]),
    (
        "labels: {expected_share: {windows: [0.2, 0.1]}}\n",
        &["`labels.expected_share.windows`", "from 0 to 1"],
    ),
    ("labels: {expected_share: [0.1, 0.2]}\n", &["`labels.expected_share` must be a map"]),
    ("storage: {dtype: float64}\n", &["none of `float32`, `float16`"]),
    (
        "storage: {dtype: float16}\npreprocessing: {clip: 100}\n",
        &["x.yaml:1: `storage.dtype: float16` needs a clip of at most 64"],
    ),
    ("storage: {dtype: float16}\npreprocessing: {normalize: none}\n", &["after a z-score or robust step"]),
    // Variables and YAML.
    (
        "cache: {root: '${NOWHERE}/x'}\n",
        &["x.yaml:1: `cache.root` needs the environment variable `NOWHERE`", "export NOWHERE", "${NOWHERE:-"],
    ),
    (
        "preprocessing: {clip: '${NOWHERE}'}\n",
        &["`preprocessing.clip` needs the environment variable `NOWHERE`"],
    ),
    ("cache: {root: '${A B}'}\n", &["x.yaml:1: `cache.root` holds `${A B}`"]),
    ("cache:\n\tprofile: smoke\n", &["x.yaml:2: this is not valid YAML", "tab"]),
    ("cache: {profile: smoke\n", &["x.yaml:", "not valid YAML"]),
    ("cache: {link: ${X:-copy}}\n", &["x.yaml:1", "needs quotes"]),
    (
        "cache:\n  profile: dev\n  profile: smoke\n",
        &["x.yaml:3: the key `cache.profile` was already written in line 2"],
    ),
    ("a: 1\n---\nb: 2\n", &["x.yaml:2: a second YAML document"]),
    ("- cache\n", &["x.yaml:1: a configuration file must be a map"]),
    ("cache: {root: !env HOME}\n", &["x.yaml:1: the YAML tag `!env`"]),
];

#[test]
fn mistakes_in_an_experiment() {
    let mut failures = Vec::new();
    for (text, fragments) in EXPERIMENT {
        let problems = Project::new().config("x.yaml", text).problems();
        if !holds(&problems, fragments) {
            failures.push(format!("{text:?}\nwanted {fragments:?}\ngot\n{}", told(&problems)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Mistakes in a dataset file `configs/datasets/own.yaml`.
const DATASET: &[(&str, &[&str])] = &[
    ("", &["`configs/datasets/own.yaml` has no `dataset` section"]),
    (
        "dataset: {recordings: '*.edf', splits: {by_subject: {seed: 1}}}\n",
        &["own.yaml:1: `dataset.root` is not set"],
    ),
    (
        "dataset: {root: d, splits: {by_subject: {seed: 1}}}\n",
        &["`dataset.recordings` is not set", "**/*.edf"],
    ),
    ("dataset: {root: d, recordings: '*.edf'}\n", &["`dataset.splits` is not set", "by_subject"]),
    (
        "dataset:\n  root: d\n  license: MIT\n",
        &["own.yaml:3: unknown key `dataset.license`", "did you mean `licence`?"],
    ),
    ("dataset: {recordings: '[a'}\n", &["`dataset.recordings` is `[a`, which is no pattern"]),
    ("dataset: {recordings: ../x/*.edf}\n", &["leaves the dataset's root"]),
    (
        "dataset: {id: '(unclosed'}\n",
        &["`dataset.id` is `(unclosed`, which is no regular expression: unclosed group"],
    ),
    ("dataset: {subject: '^[a-z]+'}\n", &["no group that says which part is the subject", "(?P<subject>"]),
    (
        "dataset: {splits: {folders: {train: a}}}\n",
        &["unknown key `dataset.splits.folders`", "`directory`, `by_subject`"],
    ),
    (
        "dataset: {splits: {directory: {train: a, dev: b}}}\n",
        &["there is no split `dev`", "did you mean `val`?"],
    ),
    (
        "dataset: {splits: {directory: {train: a, val: a}}}\n",
        &["the folder `a` belongs to `train` and to `val`"],
    ),
    ("dataset: {splits: {directory: {train: /a}}}\n", &["no folder below the dataset's root"]),
    ("dataset: {splits: {by_subject: {train: 0.7}}}\n", &["`dataset.splits.by_subject.seed` is not set"]),
    (
        "dataset: {splits: {by_subject: {seed: 1, train: 0.9, val: 0.2}}}\n",
        &["own.yaml:1", "0.9 to train and 0.2 to val, which is more than there is"],
    ),
    ("dataset: {splits: {by_subject: {seed: 1, train: 70}}}\n", &["share from 0 to 1", "`0.7`"]),
    (
        "dataset: {splits: {by_subject: {seed: 1, pin: {val: [a], eval: [a]}}}}\n",
        &["the subject `a` is pinned to"],
    ),
    (
        "dataset: {subject_aliases: {b: a}, splits: {by_subject: {seed: 1, pin: {val: [b]}}}}\n",
        &["only another name of `a`", "pin `a`"],
    ),
    ("dataset: {subject_aliases: {b: a, a: c}}\n", &["which is itself an alias"]),
    (
        "dataset: {annotations: {format: tusz}}\n",
        &["`dataset.annotations.format` is `tusz`", "did you mean `tusz_csv`?"],
    ),
    (
        "dataset: {annotations: {format: tusz_csv}}\n",
        &["`dataset.annotations.file` is not set", "{stem}.csv"],
    ),
    (
        "dataset: {annotations: {format: tusz_csv, file: labels.csv}}\n",
        &["must hold one of `{stem}`, `{name}`"],
    ),
    (
        "dataset: {annotations: {format: tusz_csv, file: '{stem}{x}.csv'}}\n",
        &["the only places in it can be", "`{parent}`"],
    ),
    (
        "dataset: {annotations: {format: tusz_csv, file: '*/{stem}.csv'}}\n",
        &["a wildcard in the name of a folder"],
    ),
    (
        "dataset: {annotations: {format: tusz_csv, file: '{stem}.csv', names: {a: b}}}\n",
        &["has no effect: a file of format `tusz_csv` speaks of one recording"],
    ),
    (
        "dataset: {annotations: {format: siena_list, file: l.txt, names: {a/b: c}}}\n",
        &["is not a valid recording id", "PNO6-1.edf"],
    ),
    (
        "dataset: {annotations: {format: tusz_csv, file: '{stem}.csv', cross_check_format: tuh_tse}}\n",
        &["has no file to speak of"],
    ),
    (
        "dataset: {annotations: {format: edf_annotations}}\ncache: {profiles: {smoke: {subset: balanced_5_files}, \
         dev: {subset: balanced_9_files}}}\n",
        &["`balanced_N_files` asks which recordings hold seizures"],
    ),
    ("labels: {seizure: ['s*z']}\n", &["with a `*` that is not at its end"]),
    ("dataset: {exclude: []}\n", &["`dataset.exclude` is an empty list"]),
    (
        "dataset: {annotations: {format: tusz_csv, file: '../{stem}.csv'}}\n",
        &["leaves the recording's folder"],
    ),
    ("dataset: {annotations: {format: none, file: '{stem}.csv'}}\n", &["has no effect with `format: none`"]),
    (
        "dataset: {annotations: {format: none}}\n",
        &["`labels.unlabelled: error` refuses every recording", "unlabelled: keep"],
    ),
    ("dataset: {annotations: {no_row_means: nothing}}\n", &["none of `empty`, `unlabelled`"]),
    ("dataset: {mains_hz: -50}\n", &["`dataset.mains_hz` must be above 0"]),
    ("dataset: {known_defects: {a: truncatd}}\n", &["`truncatd`", "did you mean `truncated`?"]),
    ("dataset: {known_defects: {'a b': flat}}\n", &["not a valid recording id"]),
    (
        "dataset: {expect: {train: {files: 3}}}\n",
        &["unknown key `dataset.expect.train.files`", "`recordings`, `subjects`"],
    ),
    ("dataset: {expect: {train: {recordings: 3.5}}}\n", &["must be a whole number"]),
    (
        "dataset: {fixes: {a: [{onset: 3, end: 2, why: x}]}}\n",
        &["ends at 2 s, which is not after its start at 3 s"],
    ),
    ("dataset: {fixes: {a: [{onset: 3, why: x}]}}\n", &["must say what is right", "remove: true"]),
    ("dataset: {fixes: {a: [{onset: 3, end: 5}]}}\n", &["why` is not set"]),
    ("dataset: {generate: {recordings: 60}}\n", &["`dataset.generate.seed` is not set"]),
    ("dataset: {allow_no_seizures: maybe}\n", &["`true` or `false`"]),
    (
        "data: {dataset: tusz}\ndataset: {root: d}\n",
        &["own.yaml:1: a dataset file cannot choose a dataset", "delete"],
    ),
];

#[test]
fn mistakes_in_a_dataset_file() {
    let mut failures = Vec::new();
    for (text, fragments) in DATASET {
        let project = Project::new().set("data.dataset=own");
        project.write("configs/datasets/own.yaml", text);
        let problems = project.problems();
        if !holds(&problems, fragments) {
            failures.push(format!("{text:?}\nwanted {fragments:?}\ngot\n{}", told(&problems)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn mistakes_outside_of_files() {
    let p = Project::new;
    let profile = |name: &str| {
        let mut project = p();
        project.request.profile = Some(name.to_owned());
        project
    };
    let missing = |name: &str| {
        let mut project = p().config("smoke_test.yaml", "");
        project.request.configs.push(name.into());
        project
    };
    let cases: Vec<(Project, &[&str])> = vec![
        (
            profile("smok"),
            &["--profile smok: `cache.profile` names the profile `smok`", "did you mean `smoke`?"],
        ),
        (p().set("cache.profile"), &["--set cache.profile: `cache.profile` has no `=`", "--set key=value"]),
        (p().set("profile=smoke"), &["--set profile=smoke: `profile` names no key", "`cache.profile`"]),
        (p().set("cach.profile=smoke"), &["there is no section `cach`", "did you mean `cache`?"]),
        (
            p().set("windows.strid_s=5"),
            &["--set windows.strid_s=5: unknown key `windows.strid_s`", "`stride_s`"],
        ),
        (p().set("cache.link=[copy"), &["--set cache.link=[copy", "none of `reflink`"]),
        (p().set("model.x=1"), &["there is no section `model`"]),
        (
            p().env("EEGCACHE_CACHE__PROFIL", "smoke"),
            &["environment variable EEGCACHE_CACHE__PROFIL: unknown key `cache.profil`"],
        ),
        (
            p().env("EEGCACHE_CAHE__PROFILE", "smoke"),
            &["environment variable EEGCACHE_CAHE__PROFILE", "did you mean `cache`?"],
        ),
        (
            p().env("EEGCACHE_WINDOWS__STRIDE_S", "8").env("EEGCACHE_windows__stride_s", "7"),
            &[
                "`EEGCACHE_windows__stride_s=7` and `EEGCACHE_WINDOWS__STRIDE_S=8` are two spellings of one key",
            ],
        ),
        (
            p().env("EEGCACHE_WINDOWS__STRIDE_S", "ten"),
            &["environment variable EEGCACHE_WINDOWS__STRIDE_S: `windows.stride_s` must be a number"],
        ),
        (
            p().env("EEG_DATASET", "tsuz"),
            &["base.yaml:16 via ${EEG_DATASET}: `data.dataset` is `tsuz`", "did you mean `tusz`?"],
        ),
        (
            p().env("EEG_DATA_ROOT", "/data/x"),
            &[
                "`EEG_DATA_ROOT` is set to `/data/x`, but the dataset is `demo`",
                "EEG_DATASET=NAME",
                "unset EEG_DATA_ROOT",
            ],
        ),
        (
            p().env("EEG_DATASET", "folder"),
            &[
                "configs/datasets/folder.yaml:",
                "`dataset.root` needs the environment variable `EEG_DATA_ROOT`",
            ],
        ),
        (
            missing("smoke_tets.yaml"),
            &["-c smoke_tets.yaml: `smoke_tets.yaml` does not exist", "did you mean `smoke_test.yaml`?"],
        ),
        (missing("configs"), &["configs: this is a directory"]),
        (
            p().config("t.yaml", "data: {dataset: tusz, data_dir: cache/in}"),
            &["the cache root `cache`", "holds the dataset's root `cache/in` (t.yaml:1)", "keep them apart"],
        ),
        (
            p().env("EEG_DATASET", "tusz").env("EEG_DATA_ROOT", "."),
            &["the cache root `cache`", "lies inside of the dataset's root"],
        ),
    ];
    for (project, fragments) in cases {
        let problems = project.problems();
        assert!(holds(&problems, fragments), "wanted {fragments:?}, got\n{}", told(&problems));
    }
}

#[test]
fn one_pass_finds_all() {
    let text = "cache: {profil: x, version: 3}\nwindows: {length_s: 0}\nlabels: {unlabelled: x}\npreprocessing: {clip: -1, bandpass: [9, 1]}\n";
    let problems = Project::new().config("x.yaml", text).problems();
    assert_eq!(problems.len(), 6, "{}", told(&problems));
}

#[test]
fn several_broken_files_are_told_at_once() {
    let project = Project::new().config("a.yaml", "x: [\n").config("b.yaml", "y: 1\ny: 2\n");
    let problems = project.problems();
    assert!(holds(&problems, &["a.yaml:"]) && holds(&problems, &["b.yaml:2"]), "{}", told(&problems));
}

#[test]
fn without_a_project_the_message_says_what_to_do() {
    let problems = Project::bare().problems();
    assert!(holds(&problems, &["no project here", "configs/cache/base.yaml"]), "{}", told(&problems));
}

#[test]
fn an_empty_base_says_what_it_must_hold() {
    let project = Project::bare();
    project.write("configs/cache/base.yaml", "");
    let problems = project.problems();
    for fragments in [
        &["`data.dataset` is not set"],
        &["`cache.version` is not set"],
        &["`cache.profiles` is not set"],
        &["`labels.seizure` is not set"],
    ] {
        assert!(holds(&problems, fragments), "{fragments:?} in\n{}", told(&problems));
    }
}

/// A config and a dataset file in which every key of ours has a value; JSON is YAML.
fn every_key() -> (serde_json::Value, serde_json::Value) {
    let config = serde_json::json!({
        "preprocessing": {
            "channels": {"order": ["Fp1", "Cz"], "aliases": {"A": "Cz"}, "interpolate": ["Cz"], "duplicates": "first"},
            "steps": [{"bandpass": {"low_hz": 1, "high_hz": 2, "order": 3, "phase": "causal", "init": "zero"}},
                {"reference": {"bipolar": [["Fp1", "Cz"]]}}, {"zscore": {"epsilon": 1}}, {"clip": {"limit": 3}}],
        },
        "labels": {"expected_share": {"windows": [0.1, 0.2]}},
        "data": {"dataset": "own", "splits": ["train"], "window_size": 60},
    });
    let dataset = serde_json::json!({"dataset": {
        "root": "d", "title": "t", "licence": "l", "recordings": ["*.edf"], "exclude": ["x*.edf"], "id": "(a)", "subject": "(a)",
        "subject_aliases": {"a": "b"},
        "splits": {"by_subject": {"seed": 1, "train": 0.5, "val": 0.2, "pin": {"val": ["x"]}}},
        "annotations": {"format": "tusz_csv", "file": "{stem}.csv", "cross_check": "{stem}.b",
            "cross_check_format": "tusz_csv_bi", "no_row_means": "empty"},
        "mains_hz": 60, "known_defects": {"a": "flat"}, "expect": {"train": {"recordings": 1, "subjects": 1}},
        "allow_no_seizures": true, "split_policy": "p", "fixes": {"a": [{"onset": 1, "start": 1, "end": 2, "why": "w"}]},
    }});
    (config, dataset)
}

/// Every place in a document, as JSON pointers.
fn places(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    if !at.is_empty() {
        found.push(at.to_owned());
    }
    match value {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
        }
        serde_json::Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

const NONSENSE: [&str; 14] = [
    "null",
    "[null]",
    "[]",
    "{}",
    "{x: null}",
    "[[]]",
    "[1]",
    "-1",
    "0",
    "1e300",
    ".nan",
    "''",
    "x",
    "${NO}",
];

/// Whatever stands at a key, the answer is a configuration or a reason, never silence and never a panic.
#[test]
fn nonsense_is_refused_with_a_reason() {
    let (config, dataset) = every_key();
    let project = Project::new().config("x.yaml", &config.to_string());
    project.write("configs/datasets/own.yaml", &dataset.to_string());
    project.ok();
    let (mut refused, mut all) = (0, 0);
    for (path, document) in [("x.yaml", &config), ("configs/datasets/own.yaml", &dataset)] {
        let mut found = Vec::new();
        places(document, "", &mut found);
        for place in &found {
            let mut broken = document.clone();
            *broken.pointer_mut(place).unwrap() = "@".into();
            for value in NONSENSE {
                let quoted = if value.starts_with('$') { format!("'{value}'") } else { value.to_owned() };
                project.write(path, &broken.to_string().replace("\"@\"", &quoted));
                all += 1;
                let (refusal, problems) = match project.load() {
                    Ok(_) => (false, Vec::new()),
                    Err(eegcache::error::Error::Config(error)) => (true, error.problems),
                    Err(other) => panic!("{place}: {value}: {other}"),
                };
                refused += usize::from(refusal);
                assert_eq!(problems.is_empty(), !refusal, "{place}: {value}");
                assert!(!holds(&problems, &["defect of eegcache"]), "{place}: {value}\n{}", told(&problems));
            }
        }
        project.write(path, &document.to_string());
    }
    assert!(refused * 10 > all * 7, "only {refused} of {all} were refused");
}
