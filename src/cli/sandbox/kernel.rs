//! What is told to the kernel: all rights that Landlock can take are taken, and those of the rules are given back.

use std::os::fd::AsFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};

use super::{Outcome, Right, Rules, STATUS};
use crate::error::Error;

/// The newest version whose rights are taken. Those of later ones are not: a test has to have run on a kernel that has them.
const NEWEST: ABI = ABI::V7;

/// A file that a rule is about, kept open. A rule is about an inode, and that of a file in /proc is forgotten and made anew when
/// nobody has it open.
pub(super) struct Kept {
    _file: Option<PathFd>,
}

/// Binds this thread, and those that it starts from now on, for ever. What is open stays open.
pub(super) fn restrict(rules: &Rules) -> Result<Outcome, Error> {
    let files = rules.files.iter().map(|(path, right)| {
        let file = PathFd::new(path).map_err(|error| {
            Error::new(format!("the sandbox cannot be set up: {} cannot be opened", path.display())).caused_by(error)
        });
        Ok((file?, rights(*right)))
    });
    let files = files.collect::<Result<Vec<_>, Error>>()?;
    let status = enforce(&files, rules).map_err(|error| Error::new("the sandbox cannot be set up").caused_by(error))?;
    Ok(match status.landlock {
        LandlockStatus::NotImplemented => {
            Outcome::Absent("this kernel has no Landlock, or a container denies it; Linux has it since 5.13")
        }
        LandlockStatus::NotEnabled => {
            Outcome::Absent("Landlock is switched off in this kernel; its parameter lsm= would have to name landlock")
        }
        LandlockStatus::Available { effective_abi, .. } => {
            let kept = files.into_iter().zip(&rules.files).find(|(_, (path, _))| path == Path::new(STATUS));
            Outcome::InForce(effective_abi.min(NEWEST) as u32, Kept { _file: kept.map(|((file, _), _)| file) })
        }
    })
}

fn rights(right: Right) -> BitFlags<AccessFs> {
    match right {
        Right::Read => AccessFs::ReadFile.into(),
        Right::List => AccessFs::ReadFile | AccessFs::ReadDir,
        Right::Write => AccessFs::WriteFile | AccessFs::MakeReg,
        Right::Remove => AccessFs::RemoveFile.into(),
    }
}

/// What the kernel does not know is left out.
fn enforce(files: &[(PathFd, BitFlags<AccessFs>)], rules: &Rules) -> Result<RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for (file, rights) in files {
        ruleset = ruleset.add_rule(PathBeneath::new(file.as_fd(), *rights))?;
    }
    for port in &rules.connect {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    ruleset.restrict_self()
}
