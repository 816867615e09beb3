"""How much damage to the references of the exercises their checks notice.

    python benchmarks/mutation.py
"""

from coursekit.exercises.mutate import mutation_table
from coursekit.results import record

COLUMNS = {"Exercise": "{exercise}", "Mutants": "{mutants:,}", "Equivalent, with proof": "{equivalent:,}",
           "Rejected": "{rejected:,}", "Of these explained by a misconception": "{named:,}", "Score": "{score:.1%}"}
CAPTION = "Mutants of each reference; the score is the share rejected of those that are not equivalent."

if __name__ == "__main__":
    rows = [{"exercise": row.id, "mutants": row.rejected + row.equivalent + len(row.gaps), "equivalent": row.equivalent,
             "rejected": row.rejected, "named": row.named, "score": row.rejected / (row.rejected + len(row.gaps))}
            for row in mutation_table()]
    total = {name: sum(row[name] for row in rows) for name in ("mutants", "equivalent", "rejected", "named")}
    total |= {"exercise": "all", "score": total["rejected"] / (total["mutants"] - total["equivalent"])}
    record("mutation", [*rows, total], columns=COLUMNS, caption=CAPTION)
