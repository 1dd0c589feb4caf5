using System.Text;
using Kmem.Engine.Caches;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>The text of KMEM_DEBUG: which letters it means for which cache, and what is wrong with it.</summary>
public sealed unsafe class CheckSpecTests
{
    private const int All = (int)CheckSpec.All;

    [Theory]
    [InlineData("F", CacheChecks.Consistency)]
    [InlineData("Z", CacheChecks.RedZones)]
    [InlineData("P", CacheChecks.Poison)]
    [InlineData("U", CacheChecks.Users)]
    [InlineData("T", CacheChecks.Trace)]
    [InlineData("A", CacheChecks.Faults)]
    [InlineData("G", CacheChecks.Guard)]
    [InlineData("zp", CacheChecks.RedZones | CacheChecks.Poison)]
    [InlineData("FZPU", CheckSpec.All)]
    [InlineData("UPZF", CheckSpec.All)]
    [InlineData("FFZZ", CacheChecks.Consistency | CacheChecks.RedZones)]
    [InlineData("-", CacheChecks.None)]
    [InlineData("", CacheChecks.None)]
    public void Letters_without_names_are_for_all_caches(string spec, object letters) => AssertFor(spec, "kmalloc-64", (CacheChecks)letters);

    [Theory]
    [InlineData("kmalloc-64", "kmalloc-64", true)]
    [InlineData("kmalloc-64", "kmalloc-640", false)]
    [InlineData("kmalloc-640", "kmalloc-64", false)]
    [InlineData("*", "dentry", true)]
    [InlineData("**", "dentry", true)]
    [InlineData("kmalloc-*", "kmalloc-", true)]
    [InlineData("kmalloc-*", "kmalloc", false)]
    [InlineData("*-64", "kmalloc-64", true)]
    [InlineData("*-64", "kmalloc-64-rcu", false)]
    [InlineData("*64*", "kmalloc-64-rcu", true)]
    [InlineData("k*c-*4", "kmalloc-64", true)]
    [InlineData("a*a", "a", false)]
    [InlineData("a*ab", "aaaab", true)]
    [InlineData("*a*b*c", "xaxbxbxc", true)]
    [InlineData("*a*b*c", "xaxbxcx", false)]
    [InlineData("größe-*", "größe-1", true)]
    [InlineData("Dentry", "dentry", false)]
    [InlineData("", "dentry", false)]
    public void A_star_stands_for_any_characters(string pattern, string name, bool matches)
    {
        AssertFor("F," + pattern, name, matches ? CacheChecks.Consistency : CacheChecks.None);
        AssertFor($"F,nobody,{pattern},nobody-*", name, matches ? CacheChecks.Consistency : CacheChecks.None);
        AssertFor($"Z;F,{pattern}", name, matches ? CacheChecks.Consistency : CacheChecks.RedZones);
    }

    [Theory]
    [InlineData("U;FZPU,kmalloc-*;-,inode", "kmalloc-64", All)]
    [InlineData("U;FZPU,kmalloc-*;-,inode", "inode", 0)]
    [InlineData("U;FZPU,kmalloc-*;-,inode", "dentry", (int)CacheChecks.Users)]
    [InlineData("FZPU;-,dentry", "dentry", 0)]
    [InlineData("FZPU;-,dentry", "inode", All)]
    [InlineData("F,den*;Z,dentry", "dentry", (int)CacheChecks.Consistency)]
    [InlineData("Z,dentry;F,den*", "dentry", (int)CacheChecks.RedZones)]
    [InlineData(",dentry", "dentry", All)]
    [InlineData(",dentry", "inode", 0)]
    [InlineData("Z;,dentry", "dentry", All)]
    [InlineData("F;Z", "dentry", (int)CacheChecks.RedZones)]
    [InlineData("F,a,b,c;Z,d", "c", (int)CacheChecks.Consistency)]
    [InlineData("F,a,b,c;Z,d", "d", (int)CacheChecks.RedZones)]
    public void The_first_block_whose_names_match_counts_else_the_one_without_names(string spec, string name, int letters) =>
        AssertFor(spec, name, (CacheChecks)letters);

    [Theory]
    [InlineData(";", 0)]
    [InlineData("F;", (int)CacheChecks.Consistency)]
    [InlineData(";F", (int)CacheChecks.Consistency)]
    [InlineData("F;;Z,inode", (int)CacheChecks.Consistency)]
    public void A_block_of_nothing_means_nothing(string spec, int letters) => AssertFor(spec, "dentry", (CacheChecks)letters);

    [Theory]
    [InlineData(" ", 0)]
    [InlineData(" ; ", 0)]
    [InlineData(" F Z ", (int)(CacheChecks.Consistency | CacheChecks.RedZones))]
    [InlineData("F, dentry", (int)CacheChecks.Consistency)]
    [InlineData("F ,inode , dentry ; Z", (int)CacheChecks.Consistency)]
    [InlineData("F, den* \t;Z", (int)CacheChecks.Consistency)]
    [InlineData("F, inode ; Z", (int)CacheChecks.RedZones)]
    [InlineData(" - , dentry ; Z", 0)]
    public void Blanks_mean_nothing(string spec, int letters) => AssertFor(spec, "dentry", (CacheChecks)letters);

    [Theory]
    [InlineData("FZPUTA", 0)]
    [InlineData("fzputa", 0)]
    [InlineData("-", 0)]
    [InlineData("", 0)]
    [InlineData("X", 'X')]
    [InlineData("FX,kmalloc-*", 'X')]
    [InlineData("F,Xylophone", 0)]
    [InlineData("F,a;Q,b", 'Q')]
    [InlineData("F, a ; Z,b", 0)]
    [InlineData("F,a b", ' ')]
    [InlineData("F,a;Z, b,c\td;P", ' ')]
    [InlineData("FZPU kmalloc-64", '4')]
    [InlineData("1", '1')]
    [InlineData("F*", '*')]
    public void A_character_that_is_no_letter_is_found(string spec, int bad)
    {
        fixed (byte* text = Utf8(spec))
        {
            Assert.Equal(bad, CheckSpec.FindBad(text));
        }
    }

    [Fact]
    public void No_text_at_all_is_nothing()
    {
        Assert.Equal(0, CheckSpec.FindBad(null));
        fixed (byte* name = Utf8("dentry"))
        {
            Assert.Equal(CacheChecks.None, CheckSpec.For(null, name));
        }
    }

    [Fact]
    public void The_heap_refuses_a_text_with_a_bad_letter_and_names_it()
    {
        System.ArgumentException refused = Assert.Throws<System.ArgumentException>(() => new KmemHeap(new KmemHeapOptions { Debug = "FX" }).Dispose());
        Assert.Contains("'X' in 'FX'", refused.Message, System.StringComparison.Ordinal);
    }

    private static void AssertFor(string spec, string name, CacheChecks letters)
    {
        fixed (byte* text = Utf8(spec))
        fixed (byte* bytes = Utf8(name))
        {
            Assert.Equal(letters, CheckSpec.For(text, bytes));
        }
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text + '\0');
}
