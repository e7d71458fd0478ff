//! What every experiment is told.

use clap::Args;
use std::path::PathBuf;

/// Which Volery, where its data go, and how results are shown.
#[derive(Args)]
pub struct Setting {
    /// Volery's binary
    #[arg(long, default_value = "target/release/volery")]
    pub volery: PathBuf,
    /// Where all servers' data go, in directories that are removed again; on the disk to measure
    #[arg(long, default_value = ".")]
    pub directory: PathBuf,
    /// Draw figures into this directory, as SVG and the numbers behind them as JSON
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}
