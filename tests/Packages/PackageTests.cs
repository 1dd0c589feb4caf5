using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.RegularExpressions;
using Xunit;

namespace Kmem.Tests.Packages;

/// <summary>What is packed is what a user needs: fresh projects restore it and run what the README shows.</summary>
public sealed partial class PackageTests
{
    [Theory]
    [InlineData("Kmem", "lib/net10.0/Kmem.dll", "lib/net10.0/Kmem.xml")]
    [InlineData("Kmem.Extensions", "lib/net10.0/Kmem.Extensions.dll", "lib/net10.0/Kmem.Extensions.xml")]
    [InlineData("Kmem.AspNetCore", "lib/net10.0/Kmem.AspNetCore.dll", "lib/net10.0/Kmem.AspNetCore.xml")]
    [InlineData("Kmem.Tool", "tools/net10.0/any/DotnetToolSettings.xml", "tools/net10.0/any/Kmem.Tool.dll")]
    public void A_package_has_what_the_gallery_shows(string id, params string[] files)
    {
        string path = Assert.Single(Directory.GetFiles(Feed.Folder, $"{id}.*.nupkg"), each => Version().IsMatch(Path.GetFileName(each)[id.Length..]));
        using ZipArchive package = ZipFile.OpenRead(path);
        string[] names = [.. package.Entries.Select(static entry => entry.FullName)];
        Assert.All(["README.md", "icon.png", .. files], file => Assert.Contains(file, names));
        using StreamReader reader = new(package.GetEntry($"{id}.nuspec")!.Open());
        string specification = reader.ReadToEnd();
        Assert.Contains("<license type=\"expression\">MIT</license>", specification, StringComparison.Ordinal);
        Assert.Contains("<icon>icon.png</icon>", specification, StringComparison.Ordinal);
        Assert.Contains("<readme>README.md</readme>", specification, StringComparison.Ordinal);
        Assert.DoesNotContain("Package Description", specification, StringComparison.Ordinal);
        Assert.Equal(id == "Kmem", !specification.Contains("<dependency ", StringComparison.Ordinal) && specification.Contains("<group targetFramework=\"net10.0\" />", StringComparison.Ordinal));
    }

    public static IEnumerable<TheoryDataRow<int>> Snippets => Enumerable.Range(0, ReadSnippets().Count).Select(static index => new TheoryDataRow<int>(index));

    [Theory]
    [MemberData(nameof(Snippets))]
    public void A_snippet_of_the_README_runs_in_a_fresh_project(int index)
    {
        string folder = Feed.NewFolder(withNuget: false);
        WriteProject(folder, ReadSnippets()[index]);
        (int exitCode, string output) = Shell.RunDotnet(folder, "run", "-c", "Release");
        Assert.True(exitCode == 0, output);
        Assert.DoesNotContain("warning", output, StringComparison.OrdinalIgnoreCase);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void The_command_is_installed_as_a_tool_and_runs()
    {
        string folder = Feed.NewFolder(withNuget: false);
        (int exitCode, string output) = Shell.RunDotnet(folder, "tool", "install", "Kmem.Tool", "--tool-path", "tools", "--prerelease");
        Assert.True(exitCode == 0, output);
        (exitCode, output) = Shell.Run(folder, Path.Combine(folder, "tools", "kmem"), "layout", "--help");
        Assert.True(exitCode == 0, output);
        Assert.Contains("kmem layout", output, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    private static void WriteProject(string folder, string program)
    {
        File.WriteAllText(
            Path.Combine(folder, "user.csproj"),
            """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <AllowUnsafeBlocks>true</AllowUnsafeBlocks>
                <UseAppHost>false</UseAppHost>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Kmem" Version="*-*" />
              </ItemGroup>
            </Project>
            """);
        File.WriteAllText(Path.Combine(folder, "Program.cs"), program);
    }

    private static List<string> ReadSnippets() =>
        [.. Snippet().Matches(File.ReadAllText(Path.Combine(Shell.Root, "README.md"))).Select(static match => match.Groups[1].Value)];

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Snippet();

    [GeneratedRegex(@"^\.\d+\.\d+\.\d+")]
    private static partial Regex Version();
}
