using System;
using System.Globalization;
using System.IO;
using System.Text;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>Compilers make the same object files with the library as without.</summary>
public sealed class CompilerTests
{
    private const int Lines = 5000;
    private const int LinesOfFunction = 11;

    [Fact]
    public void Gcc_compiles_5000_lines_to_the_same_object_file()
    {
        string gcc = Tools.Find("gcc", "gcc libc6-dev");
        using Scene scene = new();
        scene.Write("large.c", Generate());
        scene.Plain(gcc, "-O2", "-c", "-o", "plain.o", "large.c").Run().AssertGood();
        scene.Preloaded(gcc, "-O2", "-c", "-o", "preloaded.o", "large.c").Run().AssertGood();
        scene.AssertLoadedIn("gcc", "cc1", "as");
        Assert.Equal(File.ReadAllBytes(scene.At("plain.o")), File.ReadAllBytes(scene.At("preloaded.o")));
    }

    [Fact]
    public void Gxx_compiles_templates_to_the_same_object_file()
    {
        string gxx = Tools.Find("g++", "g++");
        using Scene scene = new();
        scene.Write("templates.cpp", """
            #include <map>
            #include <string>
            #include <vector>
            template <int N> struct Row { std::map<int, Row<N - 1>> cells; };
            template <> struct Row<0> { std::vector<std::string> texts; };
            size_t count(Row<30> &row) { return row.cells[1].cells[2].cells[3].cells.size(); }
            """);
        string[] options = Settings.Choose<string[]>(["-O0"], ["-O3", "-g", "-include", "regex"]);
        scene.Plain(gxx, [.. options, "-c", "-o", "plain.o", "templates.cpp"]).Run().AssertGood();
        scene.Preloaded(gxx, [.. options, "-c", "-o", "preloaded.o", "templates.cpp"]).Run().AssertGood();
        scene.AssertLoadedIn("g++", "cc1plus", "as");
        Assert.Equal(File.ReadAllBytes(scene.At("plain.o")), File.ReadAllBytes(scene.At("preloaded.o")));
    }

    /// <summary>Functions of eleven lines, each a little different, that call the ones before.</summary>
    private static string Generate()
    {
        StringBuilder text = new("struct node { struct node *next; long value; char name[16]; };\n");
        for (int i = 0; i < Lines / LinesOfFunction; i++)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $$"""
                static const char text_{{i}}[] = "text number {{i * 7919}}";
                long function_{{i}}(struct node *list, long x) {
                  long sum = x * {{i + 3}};
                  for (struct node *n = list; n; n = n->next) {
                    switch (n->value % {{(i % 7) + 3}}) {
                    case 0: sum += n->name[{{i % 16}}]; break;
                    case 1: sum ^= n->value << {{i % 31}}; break;
                    default: sum -= text_{{i}}[(unsigned long)x % sizeof text_{{i}}];
                    }
                  }
                  return sum{{(i == 0 ? "" : FormattableString.Invariant($" + function_{i - 1}(list, sum)"))}}; }
                """);
        }

        return text.ToString();
    }
}
