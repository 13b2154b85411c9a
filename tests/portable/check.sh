#!/usr/bin/env bash
# The same bytes on every x86-64: the built program runs here, and once more under an emulated processor without AVX,
# FMA and SHA extensions. Recipes that between them hold every step are compared file by file, and what `inspect` says of
# every recording word by word: among it the digest of every channel in double precision, before the rounding to what is stored.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:-$repository/target/release/eegcache}
recordings=${RECORDINGS:-5}
[ -x "$program" ] || { echo "no program at \`$program\`; \`make check-portable\` builds it" >&2; exit 2; }
if ! command -v qemu-x86_64 >/dev/null; then
    echo "skipped: \`qemu-x86_64\` is not installed (Debian package qemu-user)"
    exit 0
fi
old=(qemu-x86_64 -cpu Nehalem "$program")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$repository/configs" "$work/configs"
rm -f "$work/configs/local.yaml"
cd "$work"
for name in $(compgen -e | grep -E '^(EEG|BGB_|CACHE_ROOT$)' || true); do unset "$name"; done

cat >brain_brr.yaml <<'YAML'
cache: {version: brain_brr}
YAML
cat >zero_phase.yaml <<'YAML'
cache: {version: zero_phase}
storage: {dtype: float16}
preprocessing:
  steps:
    - bandpass: {low_hz: 0.5, high_hz: 100, order: 4, phase: zero}
    - notch: {freq_hz: 60, q: 30, phase: zero}
    - resample: {rate_hz: 200, method: polyphase}
    - reference: average
    - zscore: {epsilon: 1.0e-8}
    - clip: {limit: 10}
YAML
cat >bipolar.yaml <<'YAML'
cache: {version: bipolar}
preprocessing:
  steps:
    - resample: {rate_hz: 1000/7, method: fft}
    - highpass: {freq_hz: 0.5, order: 3, phase: causal, init: first_sample}
    - lowpass: {freq_hz: 40, order: 2, phase: zero}
    - notch: {freq_hz: 50, q: 30, phase: causal}
    - reference: {bipolar: [[Fp1, F7], [F7, T3], [T3, T5], [T5, O1], [Fz, Cz], [Cz, Pz]]}
    - robust: {epsilon: 1.0e-8}
    - clip: {limit: 20}
windows: {length_s: 7, stride_s: 7}
YAML

"$program" demo .demo/edf --recordings "$recordings" >/dev/null 2>&1
files=0 recordings_seen=0 channels=0
for config in brain_brr zero_phase bipolar; do
    for side in here old; do
        run=("$program")
        [ "$side" = old ] && run=("${old[@]}")
        code=0
        "${run[@]}" build -c "$config.yaml" --profile full --cache-root "cache-$side" >"$side.log" 2>&1 || code=$?
        # Defects of the generated corpus end in quarantine, here as there.
        [ "$code" = 0 ] || [ "$code" = 5 ] || { cat "$side.log" >&2; exit 1; }
        (cd "cache-$side/full/$config" && find . -name '*.npz' -print0 | sort -z | xargs -0 sha256sum) >"$side.files"
        while IFS= read -r recording; do
            # A recording with a defect is shown, and ends with 5.
            "${run[@]}" inspect "$recording" -c "$config.yaml" --json --samples || [ $? = 5 ]
        done < <(find .demo/edf -name '*.edf' | sort) >"$side.shown"
    done
    cmp here.files old.files || { echo "$config: the files differ" >&2; diff here.files old.files >&2; exit 1; }
    cmp here.shown old.shown || { echo "$config: what \`inspect\` says differs" >&2; exit 1; }
    [ -s here.files ] && [ -s here.shown ] || { echo "$config: nothing was compared" >&2; exit 1; }
    files=$((files + $(wc -l <here.files)))
    recordings_seen=$((recordings_seen + $(wc -l <here.shown)))
    digests=$(grep -o '"sha256_f64le"' here.shown | wc -l)
    [ "$digests" -gt 0 ] || { echo "$config: no channel was compared in double precision" >&2; exit 1; }
    channels=$((channels + digests))
done
echo "portable: $files files, $recordings_seen inspections and $channels channels in double precision are the same on a Nehalem without AVX, FMA and SHA extensions"
