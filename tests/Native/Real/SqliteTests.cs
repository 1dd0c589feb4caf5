using System;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>sqlite gives the same answers with the library as without, and its file is whole.</summary>
public sealed class SqliteTests
{
    [Fact]
    public void A_mixed_script_prints_the_same_and_leaves_a_whole_database()
    {
        string sqlite = Tools.Find("sqlite3", "sqlite3"), script = Script(Settings.Choose(50_000, 1_000_000));
        using Scene scene = new();
        string plain = scene.Plain(sqlite, "-batch", "-bail", "plain.db").Run(script).AssertGood().Output;
        string preloaded = scene.Preloaded(sqlite, "-batch", "-bail", "preloaded.db").Run(script).AssertGood().Output;
        scene.AssertLoadedIn("sqlite3");
        Assert.Equal(plain, preloaded);
        Assert.Contains("\nok\n", preloaded, StringComparison.Ordinal);
        Assert.Equal("ok", scene.Plain(sqlite, "-batch", "preloaded.db", "PRAGMA integrity_check;").Run().AssertGood().Output.Trim());
    }

    private static string Script(int rows) => FormattableString.Invariant($"""
        PRAGMA journal_mode = WAL;
        PRAGMA cache_size = -20000;
        CREATE TABLE item (id INTEGER PRIMARY KEY, owner INT, name TEXT, weight REAL, content BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
          INSERT INTO item SELECT i, i * 7919 % 1009, printf('item %d of %x', i, i * 40503 % 65536), i / 3.0, zeroblob(i % 90) FROM n;
        CREATE INDEX item_owner ON item (owner, weight);
        CREATE INDEX item_name ON item (name);
        BEGIN;
        UPDATE item SET name = name || '+' || owner WHERE id % 3 = 0;
        DELETE FROM item WHERE id % 11 = 5;
        INSERT INTO item SELECT id + {rows}, owner, upper(name), weight * 2, hex(content) FROM item WHERE id % 4 = 1;
        COMMIT;
        BEGIN; DELETE FROM item WHERE owner < 500; ROLLBACK;
        SELECT owner, count(*), sum(id), round(avg(weight), 3), max(name), sum(length(content)) FROM item GROUP BY owner ORDER BY owner;
        SELECT a.owner, count(*) FROM item a JOIN item b ON a.name = b.name AND a.id < b.id GROUP BY 1 ORDER BY 1 LIMIT 20;
        SELECT name, rank() OVER (PARTITION BY owner % 10 ORDER BY weight, id) AS place FROM item WHERE id % 997 = 0 ORDER BY id;
        SELECT sum(length(list)) FROM (SELECT group_concat(name) AS list FROM (SELECT owner, name FROM item ORDER BY id) GROUP BY owner % 50);
        SELECT count(*), sum(json_extract(text, '$.id') * 31 % 1000003)
          FROM (SELECT json_object('id', id, 'name', name, 'owner', json_array(owner, owner)) AS text FROM item);
        VACUUM;
        SELECT count(*), sum(id * (owner + 1) % 1000003), sum(length(name)) FROM item;
        PRAGMA integrity_check;
        """);
}
