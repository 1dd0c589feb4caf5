using System;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>The samples Parser and EntityStore do what their users are told.</summary>
public sealed class SampleTests
{
    private const string Document = """
        { "items": [ { "name": "one" }, { "name": "two\n\"2\"" }, { "first name": [ 1, [], {} ], "name": null } ], "\u0061\ud83d\ude00": true }
        """;

    [Theory]
    [InlineData("0")]
    [InlineData(" [ ] ")]
    [InlineData("{}")]
    [InlineData("\uFEFF{\"a\":1}")]
    [InlineData("[-0, 1.50, 1e5, 1E+5, 2e-05, 12345678901234567890123456789, -1.0000000000000000000001]")]
    [InlineData("""["\"\\\/\b\f\n\r\t", "\u0041\u00e9\u20ac\ud83d\ude00", "é€😀", "\u0000", "<>&'+`"]""")]
    [InlineData("""{"": {"a\u0062": [[[true, false, null]]]}, "é😀": "", "x\\y": {}}""")]
    [InlineData(Document)]
    public void The_parser_writes_what_System_Text_Json_writes(string document)
    {
        SampleRun run = SampleRun.Of("Parser", document, "--print", "--verify");
        Assert.Equal((0, Expected(document) + "\n"), (run.ExitCode, run.Output));
        Assert.Contains("nothing is left off the heap", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void The_parser_writes_what_System_Text_Json_writes_of_random_documents()
    {
        int seed = Random.Shared.Next();
        TestContext.Current.SendDiagnosticMessage($"The seed is {seed}.");
        Random random = new(seed);

        // One array of many: a process for each would take long.
        string document = $"[{string.Join(",\n", Enumerable.Range(0, 500).Select(_ => RandomJson.Next(random, depth: 6)))}]";
        foreach (string store in new[] { "kmem", "managed" })
        {
            SampleRun run = SampleRun.Of("Parser", document, "--print", "--verify", "--store", store);
            Assert.True(run.ExitCode == 0 && run.Output == Expected(document) + "\n", $"With the seed {seed} the store {store} has written otherwise. {run.Errors}");
            Assert.Contains("nothing is left off the heap", run.Errors, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("$.items[1].name", "\"two\\n\\u00222\\u0022\"\n")]
    [InlineData("$.items[2]['first name'][0]", "1\n")]
    [InlineData("$.items[2].name", "null\n")]
    [InlineData("$.items[0]", "{\"name\":\"one\"}\n")]
    [InlineData("$.a😀", "true\n")]
    public void A_path_leads_to_a_part(string path, string expected)
    {
        foreach (string store in new[] { "kmem", "managed" })
        {
            SampleRun run = SampleRun.Of("Parser", Document, "--path", path, "--store", store);
            Assert.Equal((0, expected), (run.ExitCode, run.Output));
        }
    }

    [Theory]
    [InlineData("$", 13)]
    [InlineData("$.items[2]", 6)]
    [InlineData("$.items[0].name", 1)]
    public void The_values_of_a_part_are_counted(string path, int expected)
    {
        foreach (string store in new[] { "kmem", "managed" })
        {
            SampleRun run = SampleRun.Of("Parser", Document, "--path", path, "--count", "--store", store);
            Assert.Equal((0, $"{expected}\n"), (run.ExitCode, run.Output));
        }
    }

    [Theory]
    [InlineData("$.items[3].name", "$.items[3] is not there: $.items is an array of 3.")]
    [InlineData("$.items.name", "$.items.name is not there: $.items is an array of 3.")]
    [InlineData("$.items[0].nme", "$.items[0].nme is not there: $.items[0] is an object of 1.")]
    [InlineData("$.items[0].name.x", "is not there: $.items[0].name is a value of the kind String.")]
    [InlineData("$.items[", "an index or a name in quotes is expected in the path $.items[ at character 9, not its end")]
    [InlineData("items", "'$' is expected in the path items at character 1, not 'i'")]
    public void A_path_that_leads_nowhere_is_told_where_it_ends(string path, string expected)
    {
        SampleRun run = SampleRun.Of("Parser", Document, "--path", path, "--verify");
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains(expected, run.Errors, StringComparison.Ordinal);
        Assert.Contains("nothing is left off the heap", run.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "line 1, column 1: a value is expected, not the end of the document")]
    [InlineData("{\"a\": 1,\n \"é😀\": [1, 2}", "line 2, column 13: ',' or ']' is expected, not '}'")]
    [InlineData("{\"a\": 1,\n}", "line 2, column 1: a name in quotes is expected, not '}'")]
    [InlineData("{a: 1}", "line 1, column 2: a name in quotes or '}' is expected, not 'a'")]
    [InlineData("{\"a\" 1}", "line 1, column 6: ':' after a name is expected, not '1'")]
    [InlineData("[1,]", "line 1, column 4: a value is expected, not ']'")]
    [InlineData("[01]", "line 1, column 3: ',' or ']' is expected, not '1'")]
    [InlineData("[-]", "line 1, column 3: a digit is expected, not ']'")]
    [InlineData("[1.e5]", "line 1, column 4: a digit is expected, not 'e'")]
    [InlineData("[tru]", "line 1, column 2: a value is expected, not 't'")]
    [InlineData("\"a\tb\"", "line 1, column 3: the '\"' that ends a string is expected, not U+0009")]
    [InlineData("\"abc", "line 1, column 5: the '\"' that ends a string is expected, not the end of the document")]
    [InlineData("\"a\\x\"", "line 1, column 3: an escape,")]
    [InlineData("\"\\u12g4\"", "line 1, column 2: an escape,")]
    [InlineData("\"\\ud800\"", "line 1, column 2: an escape,")]
    [InlineData("\"\\udc00\"", "line 1, column 2: an escape,")]
    [InlineData("1 2", "line 1, column 3: the end of the document is expected, not '2'")]
    public void Bad_input_is_told_where_it_is_bad(string document, string expected)
    {
        SampleRun run = SampleRun.Of("Parser", document, "--print", "--verify");
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains("standard input: " + expected, run.Errors, StringComparison.Ordinal);
        Assert.Contains("nothing is left off the heap", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_members_with_one_name_the_last_one_counts_and_the_other_store_says_that_it_has_none_such()
    {
        Assert.Equal("2\n", SampleRun.Of("Parser", """{"a": 1, "a": 2}""", "--path", "$.a").Output);
        SampleRun managed = SampleRun.Of("Parser", """{"a": 1, "a": 2}""", "--path", "$.a", "--store", "managed");
        Assert.Equal(1, managed.ExitCode);
        Assert.Contains("Duplicate property 'a'", managed.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_UTF_8_is_told_where()
    {
        SampleRun run = SampleRun.Of("Parser", [.. "[\n\"é"u8, 0xFF, .. "\"]"u8]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("line 2, column 3: UTF-8 is expected, not the byte 0xFF", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Depth_has_a_limit()
    {
        Assert.Equal(0, SampleRun.Of("Parser", new string('[', 64) + new string(']', 64)).ExitCode);
        Assert.Equal(0, SampleRun.Of("Parser", new string('[', 1000) + new string(']', 1000), "--print", "--depth", "1000").ExitCode);
        SampleRun deeper = SampleRun.Of("Parser", new string('[', 65) + new string(']', 65));
        Assert.Equal(1, deeper.ExitCode);
        Assert.Contains("line 1, column 65: nested more than 64 deep (--depth)", deeper.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_document_that_is_too_large_is_refused_and_nothing_is_left_of_it()
    {
        string document = $"[{string.Join(',', Enumerable.Range(0, 2_000_000))}]";
        SampleRun run = SampleRun.Of("Parser", document, "--memory", "32", "--verify");
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains("The document needs more than the 32 MiB that --memory allows.", run.Errors, StringComparison.Ordinal);
        Assert.Contains("nothing is left off the heap", run.Errors, StringComparison.Ordinal);
        SampleRun enough = SampleRun.Of("Parser", document, "--memory", "256");
        Assert.Equal(0, enough.ExitCode);
        Assert.Contains("values      2,000,001 in ", enough.Errors, StringComparison.Ordinal);
        Assert.Contains("collections 0/0/0", enough.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_not_there_is_an_error_of_one_line()
    {
        SampleRun run = SampleRun.Of("Parser", "", "/nowhere/at.all");
        Assert.Equal(1, run.ExitCode);
        Assert.Equal(1, run.Errors.Count(static letter => letter == '\n'));
        Assert.StartsWith("/nowhere/at.all: ", run.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 5000, 100)]
    [InlineData(2, 777, 333)]
    [InlineData(3, 1, 200)]
    public void Both_worlds_come_to_the_same(int seed, int entities, int frames)
    {
        SampleRun kmem = RunWorld("kmem", seed, entities, frames);
        SampleRun managed = RunWorld("managed", seed, entities, frames);
        Assert.Equal(LineOf(managed, "checksum: "), LineOf(kmem, "checksum: "));
        Assert.NotEqual(LineOf(RunWorld("kmem", seed + 100, entities, frames), "checksum: "), LineOf(kmem, "checksum: "));
        Assert.Contains("collections after warm-up: 0/0/0", kmem.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_long_run_in_Kmem_has_no_collection_where_objects_have_many()
    {
        Assert.Equal("collections after warm-up: 0/0/0", LineOf(RunWorld("kmem", 1, 20_000, 400), "collections "));
        Assert.NotEqual("collections after warm-up: 0/0/0", LineOf(RunWorld("managed", 1, 20_000, 400), "collections "));
    }

    private static SampleRun RunWorld(string store, int seed, int entities, int frames)
    {
        SampleRun run = SampleRun.Of("EntityStore", "", "--store", store, "--seed", Text(seed), "--entities", Text(entities), "--frames", Text(frames), "--warm-up", "50", "--every", "100");
        Assert.True(run.ExitCode == 0, run.Errors);
        return run;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string LineOf(SampleRun run, string start) => run.Output.Split('\n').Single(line => line.StartsWith(start, StringComparison.Ordinal));

    private static string Expected(string document)
    {
        JsonNode? node = JsonNode.Parse(Encoding.UTF8.GetBytes(document.TrimStart('\uFEFF')), documentOptions: new JsonDocumentOptions { MaxDepth = 1000 });
        return JsonSerializer.Serialize(node);
    }
}
