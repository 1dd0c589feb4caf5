using System;
using System.Globalization;
using System.Text;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>git makes the same history with the library as without, and finds nothing wrong with it.</summary>
public sealed class GitTests
{
    private static readonly int s_commits = Settings.Choose(300, 20_000);
    private static readonly int s_files = Settings.Choose(60, 1500);

    [Fact]
    public void A_repository_is_imported_cloned_packed_and_checked()
    {
        using Scene scene = new();
        string git = Tools.Find("git", "git"), history = Generate();
        Git(scene.Plain(git, "init", "-q", "plain"), scene);
        Git(scene.Plain(git, "-C", "plain", "fast-import", "--quiet"), scene, history);
        string expected = Git(scene.Plain(git, "-C", "plain", "rev-parse", "main"), scene).Trim();

        Git(scene.Preloaded(git, "init", "-q", "origin"), scene);
        Git(scene.Preloaded(git, "-C", "origin", "fast-import", "--quiet"), scene, history);
        Git(scene.Preloaded(git, "clone", "-q", "--no-local", "-b", "main", "origin", "clone"), scene);
        Git(scene.Preloaded(git, ["-C", "clone", "gc", "-q", .. Settings.Choose<string[]>([], ["--aggressive"])]), scene);
        Git(scene.Preloaded(git, "-C", "clone", "fsck", "--full", "--strict"), scene);
        Git(scene.Preloaded(git, "-C", "clone", "grep", "-c", "line 1"), scene);
        Assert.Equal(expected, Git(scene.Preloaded(git, "-C", "clone", "rev-parse", "main"), scene).Trim());
        Assert.Equal("", Git(scene.Preloaded(git, "-C", "clone", "status", "--porcelain"), scene));
        string log = Git(scene.Preloaded(git, "-C", "clone", "log", "--stat", "--format=%H %s"), scene);
        Assert.Equal(Git(scene.Plain(git, "-C", "clone", "log", "--stat", "--format=%H %s"), scene), log);
        Assert.Equal(s_commits.ToString(CultureInfo.InvariantCulture), Git(scene.Preloaded(git, "-C", "clone", "rev-list", "--count", "main"), scene).Trim());
        scene.AssertLoadedIn("git");
    }

    private static string Git(Command command, Scene scene, string input = "") => command
        .With("HOME", scene.Folder)
        .With("GIT_CONFIG_GLOBAL", "/dev/null")
        .With("GIT_CONFIG_NOSYSTEM", "1")
        .Run(input)
        .AssertGood()
        .Output;

    /// <summary>A history for git fast-import: each commit rewrites three files.</summary>
    private static string Generate()
    {
        StringBuilder text = new();
        Random random = new(1);
        for (int commit = 0; commit < s_commits; commit++)
        {
            text.Append(CultureInfo.InvariantCulture, $"commit refs/heads/main\ncommitter A <a@example.org> {1_700_000_000 + commit} +0000\n");
            AppendData(text, $"Change {commit}");
            for (int change = 0; change < 3; change++)
            {
                int file = random.Next(s_files);
                StringBuilder content = new();
                for (int line = 0; line < 20 + (file % 100); line++)
                {
                    content.Append(CultureInfo.InvariantCulture, $"line {line} of file {file}: {(line % 9 == commit % 9 ? commit : 0)}\n");
                }

                text.Append(CultureInfo.InvariantCulture, $"M 100644 inline folder{file % 10}/file{file}.txt\n");
                AppendData(text, content.ToString());
            }
        }

        return text.ToString();
    }

    private static void AppendData(StringBuilder text, string data) => text.Append(CultureInfo.InvariantCulture, $"data {data.Length}\n{data}\n");
}
