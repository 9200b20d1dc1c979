"""Stores: tables, the pipeline's dossiers, screens, accounts, migrations."""
