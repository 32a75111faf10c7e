//! `validate`: whether an agent would start with these configuration files.

use super::{Body, Command, Context, Outcome};
use crate::flags::Flag;
use lictor_core::agent::unsupported;
use lictor_core::config::Flags;
use lictor_io::config_files::{self, ConfigFiles};

pub(super) static COMMAND: Command = Command {
    name: "validate",
    synopsis: "Validate config files/directories",
    usage: "[options] FILE_OR_DIRECTORY...",
    about: "
Reads configuration as an agent would and reports every mistake; give it all
the files that the agent gets, for it checks the whole.

    $ {prog} validate /etc/{prog}.d

Exit code 0 says valid, 1 not.",
    body: Body::Leaf {
        api: &[],
        own: &[&[
            Flag::text(
                "config-format",
                "format",
                "Read every file as this, whatever its extension: json or hcl.",
            ),
            Flag::switch("quiet", "Print nothing when all is well."),
        ]],
        run,
    },
};

fn run(cx: &mut Context<'_, '_>) -> Outcome {
    if !matches!(cx.flags.text("config-format").unwrap_or_default(), "" | "json" | "hcl") {
        return Err("-config-format must be either 'hcl' or 'json'".to_owned());
    }
    if cx.flags.args.is_empty() {
        return Err("Must specify at least one config file or directory".to_owned());
    }
    let files = ConfigFiles {
        paths: cx.flags.args.clone(),
        format: cx.flags.text("config-format").map(str::to_owned),
        flags: Flags::default(),
    };
    let config = config_files::load(&files).map_err(|why| format!("Config validation failed: {why}"))?;
    if !config.unprotected.is_empty() {
        // Consul would run with it, and this agent would not: whoever asks before a restart wants to know that.
        return Err(format!(
            "Config validation failed: it asks for protection that this version does not give:\n    {}",
            config.unprotected.join("\n    ")
        ));
    }
    if let Some(why) = unsupported(&config) {
        return Err(format!("Config validation failed: {why}"));
    }
    if !cx.flags.on("quiet") {
        for warning in &config.warnings {
            cx.shell.warn(warning);
        }
        for key in &config.not_built_yet {
            cx.shell
                .warn(format!("{key} is known and has no effect: this version does not have the feature"));
        }
        cx.shell.say("Configuration is valid!");
    }
    Ok(0)
}
