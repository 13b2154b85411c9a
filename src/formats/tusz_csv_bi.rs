//! TUH EEG Seizure Corpus `.csv_bi`: seizure or background, for the recording as a whole.
//!
//! The same rows as the `.csv`, all of them of the one channel `TERM`.

use crate::formats::annotation::{AnnotationTable, bad_line};
use crate::formats::tusz_csv;
use crate::model::Failure;

/// Reads the file; a row of another channel is class `bad-annotation`, because then it is another file.
pub(super) fn read(bytes: &[u8]) -> Result<AnnotationTable, Failure> {
    let mut table = tusz_csv::read(bytes)?;
    for row in &mut table.rows {
        match row.channel.take() {
            Some(channel) if channel != "TERM" => {
                return Err(bad_line(row.line, format!("channel `{channel}` where only `TERM` is known")));
            }
            _ => {}
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_term_channel_is_known() {
        let head = "# duration = 9 secs\nchannel,start_time,stop_time,label,confidence\n";
        let table = read(format!("{head}TERM,0,9,seiz,1\n").as_bytes()).unwrap();
        assert_eq!((table.rows.len(), table.rows[0].channel.as_deref()), (1, None));
        let failure = read(format!("{head}TERM,0,9,seiz,1\nFP1-F7,0,9,seiz,1\n").as_bytes()).unwrap_err();
        assert!(failure.message.contains("line 4") && failure.message.contains("FP1-F7"), "{failure}");
    }
}
