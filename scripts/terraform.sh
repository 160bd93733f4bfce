#!/usr/bin/env bash
# Checks deploy/terraform: its format, and that it is valid with the provider. Leaves nothing behind: it works on a copy.
# Where the provider comes from, the first that is there: the folder named by TERRAFORM_PLUGIN_DIR; Terraform's own places for local
# plugins; a folder below /opt that holds it; the network.
set -euo pipefail
cd "$(dirname "$0")/../deploy/terraform"

command -v terraform >/dev/null || {
    echo "Terraform is missing. Install it as https://developer.hashicorp.com/terraform/install says, then try again." >&2
    exit 1
}
provider=registry.terraform.io/hashicorp/aws

# Set but missing, it makes Terraform warn at every step.
if [ -n "${TF_CLI_CONFIG_FILE:-}" ] && [ ! -e "$TF_CLI_CONFIG_FILE" ]; then unset TF_CLI_CONFIG_FILE; fi

plugin_folder() {
    local folder
    if [ -n "${TERRAFORM_PLUGIN_DIR:-}" ]; then
        [ -d "$TERRAFORM_PLUGIN_DIR/$provider" ] || {
            echo "TERRAFORM_PLUGIN_DIR is set, but there is no $provider in it." >&2
            return 1
        }
        printf '%s' "$TERRAFORM_PLUGIN_DIR"
        return
    fi
    for folder in "$HOME/.terraform.d/plugins" /usr/local/share/terraform/plugins /usr/share/terraform/plugins /opt/*; do
        if [ -d "$folder/$provider" ]; then
            printf '%s' "$folder"
            return
        fi
    done
}

# The AWS tests ask for the folder alone.
if [ "${1:-}" = --plugin-folder ]; then
    plugin_folder
    exit
fi

terraform fmt -check -diff -recursive

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp ./*.tf "$copy"
cd "$copy"
folder=$(plugin_folder)
terraform init -backend=false -input=false -no-color ${folder:+-plugin-dir="$folder"} >init.log 2>&1 || {
    cat init.log >&2
    exit 1
}
terraform validate -no-color
